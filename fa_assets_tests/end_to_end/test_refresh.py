"""What happens next: after a change exactly what is stale is made again, and no crop is embedded twice."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.errors import UserError
from fa_assets.panns.encoder import Cnn14Encoder
from fa_assets.runner import RunOutcome, plan, run
from fa_assets.settings import Settings
from fa_assets.storage.atomic import digest_file
from fa_assets.storage.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.small_dataset import make_clip

EMBEDDED_AND_LATER = {
    f"{scheme}_{what}" for scheme in ("mc5", "center") for what in ("embeddings", "oof_predictions", "metrics")
} | {"comparison", "label_audit", "notebook_artifacts"}
PREDICTED_AND_LATER = {name for name in EMBEDDED_AND_LATER if "embeddings" not in name}


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Iterator[Settings]:
    """A copy of the finished run that the test may change, as this process's settings."""
    copy = finished.copy(tmp_path)
    with environment_of(copy):
        yield copy


def assets_of(outcome: RunOutcome) -> set[str]:
    return {one.asset for one in outcome.planned}


def crops_computed(scheme: str) -> int:
    """How many crops the newest materializations of a scheme's embeddings computed, over all folds."""
    total = 0
    with dg.DagsterInstance.get() as instance:
        for fold in range(5):
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(f"{scheme}_embeddings"), asset_partitions=[str(fold)])
            (record,) = instance.fetch_materializations(wanted, limit=1).records
            assert record.asset_materialization is not None
            total += int(record.asset_materialization.metadata["crops_computed"].value)  # type: ignore[arg-type]
    return total


def digests(settings: Settings) -> dict[str, str]:
    return {
        str(path): digest_file(path).sha256 for path in sorted((settings.storage_root / "values").glob("**/*.parquet"))
    }


def test_nothing_is_made_again_when_nothing_changed(settings: Settings) -> None:
    assert run(settings) == RunOutcome(None, (), (), ())


def test_a_new_clip_costs_that_clip(settings: Settings) -> None:
    make_clip(settings.dataset / "train_curated" / "new.wav", ("Tone",), index=100)
    with (settings.dataset / "train_curated.csv").open("a") as labels:
        labels.write("new.wav,Tone\n")
    outcome = run(settings)
    assert outcome.failures == ()
    assert crops_computed("mc5") + crops_computed("center") == 1
    assert ValueStore(settings.storage_root).read("curated_clips").table["fname"].to_pylist()[-1] == "new.wav"
    assert run(settings).run_id is None


def test_a_renamed_clip_costs_nothing(settings: Settings) -> None:
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    (folder / "03.wav").rename(folder / "3.wav")
    labels.write_text(labels.read_text().replace("03.wav", "3.wav"))
    assert run(settings).failures == ()
    assert crops_computed("mc5") + crops_computed("center") == 0


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"regularization_c": 1.0}, PREDICTED_AND_LATER),
        ({"precision": "bf16"}, EMBEDDED_AND_LATER),
        ({"on_bad_clip": "skip"}, {"curated_clips", "folds"} | EMBEDDED_AND_LATER),
        ({"device": "cpu", "batch_size": 2}, set()),
    ],
)
def test_a_changed_setting_makes_stale_what_uses_it(
    settings: Settings, change: dict[str, object], stale: set[str]
) -> None:
    changed = settings.model_copy(update=change)
    with dg.DagsterInstance.get() as instance:
        assert {one.asset for one in plan(build_definitions(changed), instance, changed)} == stale


def test_a_value_that_was_lost_is_made_again_with_all_that_uses_it(settings: Settings) -> None:
    lost = ValueStore(settings.storage_root).path("mc5_oof_predictions", "2")
    before = digest_file(lost)
    lost.unlink()
    outcome = run(settings)
    assert assets_of(outcome) == {
        "mc5_oof_predictions",
        "mc5_metrics",
        "comparison",
        "label_audit",
        "notebook_artifacts",
    }
    assert [one.partition for one in outcome.planned if one.asset == "mc5_oof_predictions"] == ["2"]
    assert lost.stat().st_size == pytest.approx(before.size_bytes, rel=0.01)


def test_one_fold_can_be_made_alone(settings: Settings) -> None:
    before = digests(settings)
    outcome = run(settings, select="mc5_embeddings", folds=["3"], force=True)
    assert [(one.asset, one.partition) for one in outcome.planned] == [("mc5_embeddings", "3")]
    changed = {path for path, digest in digests(settings).items() if digest != before[path]}
    assert changed <= {str(ValueStore(settings.storage_root).path("mc5_embeddings", "3"))}


def test_bad_input_is_refused_by_name_and_leaves_earlier_results_as_they_were(settings: Settings) -> None:
    before = digests(settings)
    folder = settings.dataset / "train_curated"
    (folder / "02.wav").write_bytes(b"RIFF")
    (folder / "09.wav").unlink()
    outcome = run(settings)
    (failure,) = outcome.failures
    assert "curated_clips: 2 of 24 clips" in failure
    assert "02.wav" in failure
    assert "09.wav: no such file" in failure
    assert digests(settings).keys() == before.keys()
    unchanged = {path for path, digest in digests(settings).items() if digest == before[path]}
    assert {path for path in before if "class_vocabulary" not in path} <= unchanged

    skipped = run(settings.model_copy(update={"on_bad_clip": "skip"}))
    assert skipped.failures == ()
    assert any("every_clip_used: 2 clips left out" in line for line in skipped.warnings)
    assert ValueStore(settings.storage_root).read("curated_clips").table.num_rows == 22


def test_embeddings_that_are_not_sound_stop_the_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(self: Cnn14Encoder, crops: np.ndarray, lengths: object = None) -> np.ndarray:
        return np.full((len(crops), 2048), np.inf, np.float32)

    before = digests(settings)
    monkeypatch.setattr(Cnn14Encoder, "embed", overflow)
    changed = settings.model_copy(update={"precision": "bf16"})
    outcome = run(changed, select="+mc5_metrics")
    assert any("check mc5_embeddings_sound" in line and "NaN or infinite" in line for line in outcome.failures)
    predictions = str(ValueStore(settings.storage_root).path("mc5_oof_predictions", "0"))
    assert digests(settings)[predictions] == before[predictions]
    # The failed check is remembered: the embeddings are not taken for current.
    again = run(changed, select="+mc5_metrics")
    assert any(one.asset == "mc5_embeddings" and "did not pass" in one.reason for one in again.planned)
    assert again.failures


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        ("mc5_metrics", {"mc5_metrics"}),
        ("comparison, folds", {"comparison", "folds"}),
        ("center_embeddings+", {"center_embeddings", "center_oof_predictions", "center_metrics", "comparison"}),
        ("+mc5_embeddings", {"class_vocabulary", "curated_clips", "folds", "cnn14_checkpoint", "mc5_embeddings"}),
        ("group:export", {"notebook_artifacts"}),
    ],
)
def test_selections(settings: Settings, selection: str, selected: set[str]) -> None:
    with dg.DagsterInstance.get() as instance:
        planned = plan(build_definitions(settings), instance, settings, select=selection, force=True)
    assert {one.asset for one in planned} == selected


@pytest.mark.parametrize(("selection", "message"), [("mc5_metric", "there is no asset 'mc5_metric'"), ("a:b(", "a:b(")])
def test_selections_that_mean_nothing(settings: Settings, selection: str, message: str) -> None:
    with dg.DagsterInstance.get() as instance, pytest.raises(UserError, match=re.escape(message)):
        plan(build_definitions(settings), instance, settings, select=selection)


@pytest.mark.parametrize(("folds", "message"), [(["5"], "the folds are 0 to 4"), (["0", "2"], "consecutive")])
def test_folds_that_cannot_be_run(settings: Settings, folds: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(settings, select="mc5_embeddings", folds=folds, force=True)


def test_cuda_where_there_is_none_is_an_error_before_any_work(settings: Settings) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    outcome = run(settings.model_copy(update={"device": "cuda"}), select="mc5_embeddings", folds=["0"], force=True)
    (failure,) = outcome.failures
    assert "Device cuda was asked for" in failure
    assert "--device auto" in failure
