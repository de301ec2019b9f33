"""From a change, exactly what is stale is made again, in order, and then there is rest."""

import shutil

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.runner import plan, run
from fa_assets.settings import Settings
from fa_assets.storage.values import ValueStore
from fa_assets_tests.automation.driver import Daemon, Requested, parts_of
from fa_assets_tests.small_dataset import TEST_FNAMES, make_clip

pytestmark = pytest.mark.slow

FOLDS = tuple("01234")


def whole(*assets: str) -> Requested:
    return {(asset, None) for asset in assets}


def folded(*assets: str) -> Requested:
    return {(asset, fold) for asset in assets for fold in FOLDS}


INTAKE = whole("class_vocabulary", "curated_clips", "folds")
EMBEDDINGS = folded("mc5_embeddings", "center_embeddings")
PREDICTIONS = folded("mc5_oof_predictions", "center_oof_predictions")
METRICS = whole("mc5_metrics", "center_metrics")


def requested(requests: list[dg.RunRequest]) -> Requested:
    return {part for request in requests for part in parts_of(request)}


def add_clip(settings: Settings) -> None:
    make_clip(settings.dataset / "train_curated" / "new.wav", ("Tone",), index=100)
    with (settings.dataset / "train_curated.csv").open("a") as labels:
        labels.write("new.wav,Tone\n")


def test_when_nothing_changed_nothing_is_requested(daemon: Daemon, settings: Settings) -> None:
    assert daemon.observe() == "nothing changed"
    assert daemon.tick() == []
    result = dg.evaluate_automation_conditions(build_definitions(settings), instance=daemon.instance)
    assert result.total_requested == 0


def test_a_new_clip_remakes_what_depends_on_it_in_order_with_one_run_for_five_folds(
    daemon: Daemon, settings: Settings
) -> None:
    add_clip(settings)
    assert daemon.observe() == "clips: 1 added, 0 changed, 0 removed"
    result = dg.evaluate_automation_conditions(build_definitions(settings), instance=daemon.instance)
    assert result.get_requested_partitions(dg.AssetKey("folds")) == {None}
    assert result.total_requested == len(INTAKE)

    waves = daemon.until_quiet()
    assert waves[0] == INTAKE
    when = {part: number for number, wave in enumerate(waves) for part in wave}
    assert sum(map(len, waves)) == len(when), "nothing is made twice"
    for earlier, later in ((INTAKE, EMBEDDINGS), (EMBEDDINGS, PREDICTIONS), (PREDICTIONS, METRICS)):
        assert max(when[part] for part in earlier) < min(when[part] for part in later)
    assert len(daemon.runs) <= 2 * len(waves), "not one run for each fold"
    assert all(result.success for result in daemon.runs)
    assert plan(build_definitions(settings), daemon.instance, settings) == []


def test_a_fresh_instance_makes_everything_in_order_once_it_has_seen_the_folder(settings: Settings) -> None:
    for folder in ("values", "ledger", "dagster_home"):
        shutil.rmtree(settings.storage_root / folder)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(settings, instance)
        (before_it_was_seen,) = daemon.tick()
        assert before_it_was_seen.asset_selection == [dg.AssetKey("cnn14_checkpoint")]
        daemon.run(before_it_was_seen)
        assert daemon.observe() == f"24 clips; {len(TEST_FNAMES)} test clips"
        first = daemon.tick()
        assert requested(first) == INTAKE | whole("test_clips")
        for request in first:
            assert daemon.run(request).success
        assert requested(daemon.tick()) == EMBEDDINGS | folded("test_mc5_embeddings")


def test_other_settings_remake_what_uses_them_and_metrics_wait_for_all_folds(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    changed = settings.model_copy(update={"regularization_c": 1.0})
    assert requested(Daemon(changed, instance).tick()) == PREDICTIONS | whole("final_classifier")
    assert run(changed, select="mc5_oof_predictions", folds=["0", "1", "2", "3"]).failures == ()
    daemon = Daemon(changed, instance)
    rest = daemon.tick()
    missing = {("mc5_oof_predictions", "4"), *folded("center_oof_predictions"), *whole("final_classifier")}
    assert requested(rest) == missing
    (last,) = [request for request in rest if ("mc5_oof_predictions", "4") in parts_of(request)]
    assert daemon.run(last).success
    assert requested(daemon.tick()) == whole("mc5_metrics", "label_audit", "notebook_artifacts")


def test_a_change_that_comes_to_nothing_ends_at_the_intake(daemon: Daemon, settings: Settings) -> None:
    labels = settings.dataset / "train_curated.csv"
    labels.write_text(labels.read_text() + "\n")
    assert daemon.observe() == "clips: the CSV files changed, no clip did"
    assert daemon.until_quiet() == [INTAKE]


def test_a_change_in_the_test_set_remakes_the_test_stage_alone(daemon: Daemon, settings: Settings) -> None:
    make_clip(settings.dataset / "test" / TEST_FNAMES[0], ("Tone",), index=300)
    assert daemon.observe() == "test clips: 0 added, 1 changed, 0 removed"
    stage = {"test_clips", "test_mc5_embeddings", "submission", "test_metrics"}
    definitions = build_definitions(settings)
    assert {one.asset for one in plan(definitions, daemon.instance, settings)} == stage
    waves = daemon.until_quiet()
    assert waves[0] == {("test_clips", None)}
    assert {asset for wave in waves for asset, _ in wave} == stage
    newest = daemon.instance.fetch_materializations(dg.AssetKey("test_mc5_embeddings"), limit=len(FOLDS)).records
    embedded = [record.asset_materialization for record in newest if record.asset_materialization]
    assert sum(int(str(one.metadata["crops_computed"].value)) for one in embedded) == 1
    assert plan(definitions, daemon.instance, settings) == []


def test_a_lost_fold_is_made_again_alone(daemon: Daemon, settings: Settings) -> None:
    ValueStore(settings.storage_root).path("mc5_oof_predictions", "2").unlink()
    assert daemon.until_quiet() == [{("mc5_oof_predictions", "2")}]


def test_what_failed_is_not_tried_again_until_something_changes(daemon: Daemon, settings: Settings) -> None:
    clip = settings.dataset / "train_curated" / "05.wav"
    clip.write_bytes(b"RIFF")
    assert daemon.observe() == "clips: 0 added, 1 changed, 0 removed"
    assert daemon.until_quiet() == [INTAKE]
    assert not daemon.runs[-1].success
    assert daemon.tick() == []

    make_clip(clip, ("Tone",), index=200)
    daemon.observe()
    again = daemon.tick()
    assert requested(again) == INTAKE
    assert all(daemon.run(request).success for request in again)
    assert requested(daemon.tick()) >= folded("mc5_embeddings")


def test_a_damaged_checkpoint_is_found_by_its_check_and_made_again(daemon: Daemon, settings: Settings) -> None:
    ours = settings.storage_root / "weights.pth"
    shutil.copyfile(settings.checkpoint_source, ours)
    settings = settings.model_copy(update={"checkpoint": str(ours)})
    daemon = Daemon(settings, daemon.instance)
    assert daemon.until_quiet() == [whole("cnn14_checkpoint")]  # another path, the same weights
    ours.write_bytes(ours.read_bytes()[:-1] + b"x")
    assert_found_damaged(daemon)
    (again,) = daemon.tick()
    assert parts_of(again) == whole("cnn14_checkpoint")
    assert daemon.run(again).success
    assert requested(daemon.tick()) >= EMBEDDINGS

    ours.unlink()
    assert_found_damaged(daemon)
    (again,) = daemon.tick()
    assert parts_of(again) == whole("cnn14_checkpoint")
    assert not daemon.run(again).success
    assert daemon.tick() == []


def assert_found_damaged(daemon: Daemon) -> None:
    """By the check that looks at the file."""
    verified = daemon.definitions.resolve_job_def("verify_checkpoint").execute_in_process(
        instance=daemon.instance, raise_on_error=False
    )
    (evaluation,) = verified.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "Materialize cnn14_checkpoint again" in str(evaluation.description)
