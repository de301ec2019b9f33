"""What is stale, told from what lies in the storage folder; and what a selection may leave out."""

import os
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import code_location
from fa_assets.encoders.cnn14.definition import Cnn14
from fa_assets.errors import UserError
from fa_assets.graph import checks_clips
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.graph.made_with import made_with
from fa_assets.settings import Settings
from fa_assets.store.digests import DigestMemory
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.recorded import flipped
from fa_assets_tests.runs import plan, run


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Settings:
    return finished.copy(tmp_path)


def reasons(settings: Settings, **options: object) -> dict[str, str]:
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        return {one.asset: one.reason for one in plan(settings, instance, **options)}


def entry_of(root: Path, asset: str) -> Path:
    ledger = Ledger(root / "ledger")
    newest = next(ledger.newest_of(asset))
    return ledger.path(newest.id, newest.asset, newest.partition)  # type: ignore[return-value]


LOSSES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a classifier": (lambda root: (root / "classifiers" / "final.npz").unlink(), "final_classifier", "final.npz"),
    "half a file": (lambda root: (root / "submission" / "submission.csv").write_text("fname"), "submission", "csv"),
    "an entry": (lambda root: entry_of(root, "mc5_metrics").unlink(), "mc5_metrics", "ledger entry"),
    "a damaged entry": (lambda root: entry_of(root, "folds").write_text("{"), "folds", "ledger entry"),
}


@pytest.mark.parametrize("what", LOSSES)
def test_a_value_counts_with_its_record_and_the_files_beside_it(what: str, settings: Settings) -> None:
    lose, asset, said = LOSSES[what]
    assert reasons(settings) == {}
    lose(settings.storage_root)  # type: ignore[arg-type]
    found = reasons(settings)
    assert said in found.pop(asset)
    assert all("is not current" in reason for reason in found.values())


@pytest.mark.promise(
    "A file of a value that changed is noticed, also where its size and time are as they were.",
    "kept",
    "a bit of every file, of 8 kinds: 0 unnoticed",
)
def test_every_file_of_every_value_is_part_of_it(settings: Settings) -> None:
    root = settings.storage_root
    assert isinstance(root, Path)
    values, entries = ValueStore(root), list(Ledger(root / "ledger").entries())
    digests = DigestMemory(root / "digests.json")
    assert {values.examine(one.asset, one.partition, digests)[1] for one in entries} == {None}
    digests.save()
    files = [
        (one, root / file.path, file.path) for one in entries for file in one.files if not Path(file.path).is_absolute()
    ]
    kinds = {name.partition("/")[0] for _, _, name in files}
    assert kinds == {
        "values",
        "classifiers",
        "landmarks",
        "label_ranks",
        "notebook",
        "label_audit",
        "reports",
        "submission",
    }
    for entry, path, name in files:
        content, stat = path.read_bytes(), path.stat()
        path.write_bytes(flipped(content, 8 * (len(content) // 2)))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        said = values.examine(entry.asset, entry.partition, DigestMemory(root / "digests.json"))[1]
        assert said in (f"{name} is missing, or not what was recorded", "its file is damaged"), name
        path.write_bytes(content)


def test_what_another_dagster_instance_has_not_seen_is_made_known_to_it(settings: Settings) -> None:
    shutil.rmtree(settings.local_root / "dagster_home")
    found = reasons(settings)
    assert {"folds", "mc5_embeddings", "submission"} <= found.keys()
    assert set(found.values()) == {"not known to this Dagster instance"}


def test_weights_that_were_replaced_where_they_lie_are_noticed(settings: Settings, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    shutil.copyfile(str(settings.checkpoint), weights)
    own = settings.model_copy(update={"checkpoint": str(weights)})
    with environment_of(own):
        assert run(own, select="cnn14_checkpoint").failures == ()
    assert "cnn14_checkpoint" not in reasons(own)
    stat = weights.stat()
    weights.write_bytes(flipped(weights.read_bytes(), 8_000_000))
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert reasons(own)["cnn14_checkpoint"] == f"{weights} is missing, or not what was recorded"
    with pytest.raises(UserError, match="--fold: mc5_embeddings of fold 1, 2, 3, 4 was made by another encoder"):
        reasons(own, folds=["0"])


def test_another_version_of_the_encoder_makes_its_embeddings_stale_everywhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cnn14, "version", Cnn14.version + 1)
    found = reasons(settings)
    for asset in ("mc5_embeddings", "center_embeddings", "test_embeddings"):
        assert "encoder_version=3" in found[asset]
    for options in ({}, {"force": True}, {"select": "mc5_embeddings"}):
        with pytest.raises(UserError, match="--fold: mc5_embeddings of fold 1, 2, 3, 4 was made by another encoder"):
            reasons(settings, folds=["0"], **options)
    assert {"mc5_embeddings"} <= reasons(settings, folds=list("01234")).keys()


def made_by_dagster(settings: Settings, *assets: str) -> str:
    """Materialize assets as the UI does, which asks nobody what is stale; what went wrong."""
    job = code_location(settings).definitions.resolve_job_def(EVERYTHING)
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        keys = [dg.AssetKey(one) for one in assets]
        result = job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False)
    errors = [result.failure_data_for_node(key).error for key in result.get_failed_step_keys()]  # type: ignore[union-attr]
    return " ".join(str(one.cause or one) for one in errors if one is not None)


def test_a_reader_refuses_what_was_made_by_other_settings_or_not_from_one_another(settings: Settings) -> None:
    other = settings.model_copy(update={"regularization_c": 1.0})
    said = made_by_dagster(other, "center_metrics")
    assert "center_metrics is not made from what does not belong together" in said
    assert "center_oof_predictions (code or settings changed: " in said
    with environment_of(other):
        assert run(other, select="+center_metrics").failures == ()
    # Both metrics are as their own recipe says, but those of center come from predictions of another C.
    assert "center_metrics (center_oof_predictions is not current)" in made_by_dagster(settings, "comparison")
    assert made_by_dagster(settings, "mc5_metrics") == ""


def test_a_value_whose_check_was_never_reached_is_made_again_though_its_inputs_are_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict on the value before does not clear it."""

    @wraps(checks_clips.folds_complete)
    def interrupted(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(checks_clips, "folds_complete", interrupted)
        assert "killed" in made_by_dagster(settings, "folds")
    assert reasons(settings)["folds"] == "its check folds_complete did not pass"
    unchecked = entry_of(settings.storage_root, "folds")
    with environment_of(settings):
        assert run(settings, select="folds").failures == ()
    assert entry_of(settings.storage_root, "folds") != unchecked
    assert reasons(settings) == {}


def test_a_submission_is_made_by_the_classifiers_of_its_predictions_alone(settings: Settings) -> None:
    classifiers = settings.storage_root / "classifiers"
    (classifiers / "mc5_fold_0.npz").write_bytes((classifiers / "center_fold_0.npz").read_bytes())
    said = made_by_dagster(settings, "submission")
    assert "The classifiers of mc5_oof_predictions are not those of its value as it is now" in said


def test_what_reads_other_assets_than_before_is_stale(settings: Settings) -> None:
    other = settings.model_copy(update={"scheme": "center", "baseline": "mc5"})
    found = reasons(other)
    assert found["experiments"] == "it reads other assets now"
    assert not found.keys() & {"mc5_metrics", "center_metrics", "folds"}


def test_a_selection_does_not_mix_settings(settings: Settings) -> None:
    other = settings.model_copy(update={"regularization_c": 1.0})
    with pytest.raises(UserError, match="comparison reads center_metrics, mc5_metrics. Use --select '\\+comparison'"):
        reasons(other, select="comparison")
    with pytest.raises(UserError, match="mc5_metrics reads mc5_oof_predictions"):
        reasons(other, select="mc5_metrics", force=True)
    assert {"mc5_oof_predictions", "center_oof_predictions", "comparison"} <= reasons(
        other, select="+comparison"
    ).keys()


def test_the_summary_says_which_figures_are_not_of_these_settings(settings: Settings) -> None:
    assert "mc5 - center" in fa_assets("summary", settings=settings).stdout
    other = fa_assets("summary", "--regularization-c", "1", settings=settings).stdout
    assert other.count("not of these settings: see fa-assets status") == 2
    assert "mc5 - center" not in other


def test_a_run_that_failed_before_it_made_anything_leaves_the_verdicts_on_what_there_is(settings: Settings) -> None:
    wrong = settings.model_copy(update={"checkpoint": str(settings.dataset / "train_curated.csv")})
    before = made_with(settings.storage_root)
    with environment_of(wrong):
        assert run(wrong).failures
    assert reasons(settings) == {}
    assert made_with(settings.storage_root) == before, "the UI would ask for the wrong weights"
