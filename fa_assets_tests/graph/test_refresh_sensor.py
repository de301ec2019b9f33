"""From a change, exactly what is stale is made again, in one run, and then there is rest."""

import shutil

import dagster as dg
import pytest

from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.graph.driver import Daemon, Requested, parts_of
from fa_assets_tests.runs import plan, run
from fa_assets_tests.small_dataset import TEST_FNAMES, make_clip

pytestmark = pytest.mark.slow

FOLDS = tuple("01234")


def whole(*assets: str) -> Requested:
    return {(asset, None) for asset in assets}


def folded(*assets: str) -> Requested:
    return {(asset, fold) for asset in assets for fold in FOLDS}


INTAKE = whole("curated_clips", "folds")
EMBEDDINGS = folded("mc5_embeddings", "center_embeddings")
PREDICTIONS = whole("mc5_oof_predictions", "center_oof_predictions")
METRICS = whole("mc5_metrics", "center_metrics")


def add_clip(settings: Settings) -> None:
    make_clip(settings.dataset / "train_curated" / "new.wav", ("Tone",), index=100)
    with (settings.dataset / "train_curated.csv").open("a") as labels:
        labels.write("new.wav,Tone\n")


def test_a_new_clip_is_one_run_of_all_that_depends_on_it(daemon: Daemon, settings: Settings) -> None:
    assert daemon.tick() is None
    assert daemon.said == "nothing changed: 24 clips, nothing is stale"
    add_clip(settings)
    request = daemon.tick()
    assert request is not None
    assert request.tags["from"] == "sensor"
    made = parts_of(request)
    assert INTAKE | EMBEDDINGS | PREDICTIONS | METRICS | whole("comparison", "report", "notebook_artifacts") <= made
    assert ("cnn14_checkpoint", None) not in made
    assert "mc5_embeddings_sound" in {key.name for key in request.asset_check_keys or ()}


def test_a_fresh_instance_makes_everything_and_waits_while_it_is_made(settings: Settings) -> None:
    for folder in ("values", "ledger", "dagster_home"):
        shutil.rmtree(settings.storage_root / folder)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(settings, instance)
        request = daemon.tick()
        assert request is not None
        assert parts_of(request) >= INTAKE | EMBEDDINGS | METRICS | whole(
            "cnn14_checkpoint", "test_clips", "submission"
        )
        waiting = instance.create_run_for_job(
            daemon.definitions.resolve_job_def("everything"), asset_selection=frozenset(request.asset_selection or ())
        )
        assert daemon.tick() is None
        assert "a run is making center_embeddings" in daemon.said
        instance.delete_run(waiting.run_id)


def test_other_settings_remake_what_uses_them(settings: Settings, instance: dg.DagsterInstance) -> None:
    changed = settings.model_copy(update={"regularization_c": 1.0})
    assert run(changed, select="center_oof_predictions").failures == ()
    request = Daemon(changed, instance).tick()
    assert request is not None
    made = parts_of(request)
    assert made >= METRICS | whole("final_classifier", "label_audit", "notebook_artifacts")
    assert ("mc5_oof_predictions", None) in made
    assert not made & (INTAKE | EMBEDDINGS | whole("center_oof_predictions"))


def test_a_change_in_the_test_set_remakes_the_test_stage_alone(daemon: Daemon, settings: Settings) -> None:
    make_clip(settings.dataset / "test" / TEST_FNAMES[0], ("Tone",), index=300)
    stage = {"test_clips", "test_embeddings", "submission", "test_metrics"}
    assert {one.asset for one in plan(settings, daemon.instance)} == stage
    assert {asset for asset, _ in daemon.refresh()} == stage
    newest = daemon.instance.fetch_materializations(dg.AssetKey("test_embeddings"), limit=1).records
    embedded = [record.asset_materialization for record in newest if record.asset_materialization]
    assert sum(int(str(one.metadata["crops_computed"].value)) for one in embedded) == 1
    assert daemon.tick() is None


@pytest.mark.promise(
    "A value that was lost is made again; what was made from it stays where its data version is the same.",
    "kept",
    "1 of 5 folds lost: 1 made again",
)
def test_a_lost_fold_is_made_again_with_what_uses_it(daemon: Daemon, settings: Settings) -> None:
    values = ValueStore(settings.storage_root)
    lost = values.read("mc5_embeddings", "2").table
    values.path("mc5_embeddings", "2").unlink()
    before = Ledger(settings.storage_root / "ledger").ids()
    made = daemon.refresh()
    assert values.read("mc5_embeddings", "2").table.equals(lost)
    assert ("mc5_embeddings", "2") in made
    assert not made & (INTAKE | {("mc5_embeddings", "1")})
    again = Ledger(settings.storage_root / "ledger").entries(skip=before)
    assert [(one.asset, one.partition) for one in again] == [("mc5_embeddings", "2")], "the rest was kept"
    assert daemon.tick() is None
    values.path("mc5_embeddings", "2").unlink()
    request = daemon.tick()
    assert request is not None
    assert parts_of(request) == made, "lost once more"


def test_what_failed_is_not_tried_again_until_something_changes(daemon: Daemon, settings: Settings) -> None:
    clip = settings.dataset / "train_curated" / "05.wav"
    sound = clip.read_bytes()
    clip.write_bytes(b"RIFF")
    request = daemon.tick()
    assert request is not None
    assert not daemon.run(request).success
    assert daemon.tick() is None
    assert "left curated_clips stale" in daemon.said and "nothing changed since" in daemon.said
    assert daemon.tick() is None

    clip.write_bytes(sound)
    assert daemon.tick() is None, "what was planned and not made is as it was"
    assert "nothing is stale" in daemon.said

    make_clip(clip, ("Tone",), index=200)
    request = daemon.tick()
    assert request is not None
    assert parts_of(request) >= INTAKE | EMBEDDINGS


def test_a_damaged_checkpoint_is_found_by_its_check_and_made_again(daemon: Daemon, settings: Settings) -> None:
    ours = settings.storage_root / "weights.pth"
    shutil.copyfile(settings.checkpoint_source, ours)
    settings = settings.model_copy(update={"checkpoint": str(ours)})
    daemon = Daemon(settings, daemon.instance)
    assert run(settings, select="cnn14_checkpoint").failures == ()  # another path, the same weights
    assert daemon.tick() is None
    ours.write_bytes(ours.read_bytes()[:-1] + b"x")
    assert_found_damaged(daemon)
    request = daemon.tick()
    assert request is not None
    assert parts_of(request) >= whole("cnn14_checkpoint") | EMBEDDINGS

    ours.unlink()
    assert_found_damaged(daemon)
    assert not daemon.run(request).success
    assert daemon.tick() is None


def assert_found_damaged(daemon: Daemon) -> None:
    """By the check that looks at the file."""
    verified = daemon.definitions.resolve_job_def("verify_checkpoint").execute_in_process(
        instance=daemon.instance, raise_on_error=False
    )
    (evaluation,) = verified.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "Materialize cnn14_checkpoint again" in str(evaluation.description)
