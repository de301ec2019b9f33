"""What happens next: after a change exactly what is stale is made again, and no crop is embedded twice."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import torch

from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.errors import UserError
from fa_assets.graph.runner import RunOutcome
from fa_assets.settings import Settings
from fa_assets.store.atomic import digest_file
from fa_assets.store.embedding_store import embedding_matrix, embedding_stores
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import plan, run
from fa_assets_tests.small_dataset import N_CLIPS, TEST_FNAMES, make_clip

EMBEDDED_AND_LATER = {
    f"{scheme}_{what}" for scheme in ("mc5", "center") for what in ("embeddings", "oof_predictions", "metrics")
} | {
    *("comparison", "label_audit", "label_corrections", "experiments", "notebook_artifacts", "report"),
    *("final_classifier", "submission", "test_metrics"),
}
PREDICTED_AND_LATER = {name for name in EMBEDDED_AND_LATER if "embeddings" not in name and name != "experiments"}
EVERYTHING = EMBEDDED_AND_LATER | {"curated_clips", "folds", "cnn14_checkpoint", "test_clips", "test_embeddings"}


def assets_of(outcome: RunOutcome) -> set[str]:
    return {one.asset for one in outcome.planned}


def crops(what: str, *schemes: str) -> int:
    """How many crops the newest materializations of the schemes' embeddings "computed" or "reused", over all folds."""
    facts = [one for scheme in schemes for one in facts_of(f"{scheme}_embeddings", range(5))]
    return sum(int(one[f"crops_{what}"]) for one in facts)  # type: ignore[call-overload]


def facts_of(asset: str, folds: Iterable[int]) -> list[dict[str, object]]:
    """The metadata of an asset's newest materializations."""
    facts = []
    with dg.DagsterInstance.get() as instance:
        for fold in folds:
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[str(fold)])
            (record,) = instance.fetch_materializations(wanted, limit=1).records
            assert record.asset_materialization is not None
            facts.append({name: one.value for name, one in record.asset_materialization.metadata.items()})
    return facts


def digests(settings: Settings) -> dict[str, str]:
    return {
        str(path): digest_file(path).sha256 for path in sorted((settings.storage_root / "values").glob("**/*.parquet"))
    }


def vectors(settings: Settings) -> dict[str, np.ndarray]:
    """The stored embeddings, by scheme and fold."""
    values = ValueStore(settings.storage_root)
    return {
        f"{scheme}, fold {fold}": embedding_matrix(values.read(f"{scheme}_embeddings", str(fold)).table["embedding"])
        for scheme in ("mc5", "center")
        for fold in range(5)
    }


def test_the_two_schemes_share_their_crops(settings: Settings) -> None:
    (store,) = embedding_stores(settings.storage_root)
    stored = sum(len(index.keys) for index in store.index_of(store.shards()).values())
    assert crops("computed", "mc5", "center") == stored - len(TEST_FNAMES) == N_CLIPS + 4


def test_new_and_changed_clips_cost_themselves_and_renamed_and_removed_ones_nothing(settings: Settings) -> None:
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    before = stored_clips(settings)
    make_clip(folder / "new.wav", ("Tone",), index=100)
    make_clip(folder / "05.wav", ("Tone",), index=200)
    (folder / "03.wav").rename(folder / "3.wav")
    (folder / "04.wav").unlink()
    rows = [line.replace("03.wav", "3.wav") for line in labels.open() if not line.startswith("04.wav")]
    labels.write_text("".join([*rows, "new.wav,Tone\n"]))
    outcome = run(settings)
    assert outcome.failures == ()
    assert crops("computed", "mc5", "center") == 2
    assert stored_clips(settings) - before == {digest_file(folder / name).sha256 for name in ("new.wav", "05.wav")}
    clips = ValueStore(settings.storage_root).read("curated_clips").table["fname"].to_pylist()
    assert len(clips) == N_CLIPS
    assert clips[-1] == "new.wav"
    assert run(settings).run_id is None


def stored_clips(settings: Settings) -> set[str]:
    """The clips of which there are crops in the embedding store, by the digests of their bytes."""
    (store,) = embedding_stores(settings.storage_root)
    return {bytes(key[:32]).hex() for index in store.index_of(store.shards()).values() for key in index.keys}


def test_everything_again_reads_the_store_loads_no_weights_and_gives_the_same_bits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Cnn14Encoder, *arguments: object, **named: object) -> None:
        raise AssertionError("the weights were loaded")

    before = vectors(settings)
    monkeypatch.setattr(Cnn14Encoder, "__init__", refuse)
    outcome = run(settings, select="mc5_embeddings,center_embeddings", force=True)
    assert outcome.failures == ()
    # One clip is over 10 s and has five distinct crops.
    for scheme, distinct in (("mc5", N_CLIPS + 4), ("center", N_CLIPS)):
        assert (crops("computed", scheme), crops("reused", scheme)) == (0, distinct)
        facts = facts_of(f"{scheme}_embeddings", range(5))
        assert {one["device"] for one in facts} == {"none: every crop was in the store"}
    for name, matrix in vectors(settings).items():
        np.testing.assert_array_equal(matrix, before[name])
    with dg.DagsterInstance.get() as instance:
        assert outcome.run_id is not None
        messages = [entry.user_message for entry in instance.all_logs(outcome.run_id)]
    assert any("0 crops computed" in message and "reused" in message for message in messages)


def test_other_weights_or_another_precision_never_use_a_stored_row_and_the_old_rows_stay(
    settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    contents = torch.load(str(settings.checkpoint), weights_only=True)
    contents["model"]["fc1.bias"] += 1
    torch.save(contents, other)
    before = vectors(settings)["center, fold 0"]
    for change in ({"precision": "bf16"}, {"checkpoint": str(other)}):
        changed = settings.model_copy(update=change)
        assert run(changed, select="cnn14_checkpoint,center_embeddings", force=True).failures == ()
        (facts,) = facts_of("center_embeddings", [0])
        assert (facts["crops_reused"], facts["crops_computed"]) == (0, facts["clips"])
        assert not np.allclose(vectors(settings)["center, fold 0"], before, rtol=0, atol=1e-6 * np.abs(before).max())
    assert run(settings, select="cnn14_checkpoint,center_embeddings", force=True).failures == ()
    assert facts_of("center_embeddings", [0])[0]["crops_computed"] == 0
    np.testing.assert_array_equal(vectors(settings)["center, fold 0"], before)


def planned(unchanged: Settings, settings: Settings, **options: Any) -> set[str]:
    """The assets that a run with these settings would make in the storage of the others."""
    with environment_of(unchanged), dg.DagsterInstance.get() as instance:
        return {one.asset for one in plan(settings, instance, **options)}


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"regularization_c": 1.0}, PREDICTED_AND_LATER),
        ({"precision": "bf16"}, EMBEDDED_AND_LATER | {"test_embeddings"}),
        ({"on_bad_clip": "skip"}, EVERYTHING - {"cnn14_checkpoint"}),
        ({"device": "cpu", "batch_size": 2}, set()),
    ],
)
def test_a_changed_setting_makes_stale_what_uses_it(
    unchanged: Settings, change: dict[str, object], stale: set[str]
) -> None:
    assert planned(unchanged, unchanged.model_copy(update=change)) == stale


def test_one_fold_is_made_with_all_that_it_needs_and_nothing_that_needs_the_others(settings: Settings) -> None:
    shutil.rmtree(settings.storage_root / "values")
    first = run(settings, folds=["3"])
    assert first.failures == ()
    needed = {"curated_clips", "folds", "cnn14_checkpoint", "mc5_embeddings", "center_embeddings"}
    assert assets_of(first) == needed | {"test_clips", "test_embeddings"}
    assert {one.partition for one in first.planned} == {"3", None}
    assert run(settings, folds=["3"]).run_id is None
    with pytest.raises(UserError, match="mc5_metrics cannot be made, since the embeddings of the other folds"):
        run(settings, select="mc5_metrics", folds=["3"])

    assert run(settings, select="mc5_embeddings", folds=["0", "1", "2"]).failures == ()
    last = run(settings, select="+mc5_metrics", folds=["4"])
    assert last.failures == ()
    assert assets_of(last) == {"mc5_embeddings", "mc5_oof_predictions", "mc5_metrics"}


@pytest.mark.promise(
    "Bad input is refused by name before anything expensive; earlier results stay.",
    "input",
    "2 of 24 clips",
)
def test_bad_input_is_refused_by_name_and_leaves_earlier_results_as_they_were(settings: Settings) -> None:
    before = digests(settings)
    folder = settings.dataset / "train_curated"
    (folder / "09.wav").unlink()
    with pytest.raises(UserError, match="'09.wav': no such file"):
        run(settings)
    for name in ("02.wav", "09.wav"):
        (folder / name).write_bytes(b"RIFF")
    (failure,) = run(settings).failures
    assert "curated_clips: 2 of 24 clips" in failure
    assert "02.wav" in failure and "09.wav" in failure
    assert digests(settings).keys() == before.keys()
    unchanged = {path for path, digest in digests(settings).items() if digest == before[path]}
    assert {path for path in before if "/test_" not in path} <= unchanged

    skipped = run(settings.model_copy(update={"on_bad_clip": "skip"}), select="+mc5_oof_predictions")
    assert skipped.failures == ()
    assert any("every_clip_used: 2 clips left out" in line for line in skipped.warnings)
    assert ValueStore(settings.storage_root).read("curated_clips").table.num_rows == 22


def test_embeddings_that_are_not_sound_stop_the_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(self: Cnn14Encoder, crops: np.ndarray, lengths: object = None) -> np.ndarray:
        return np.full((len(crops), 2048), 1e5, np.float32)

    before = digests(settings)
    monkeypatch.setattr(Cnn14Encoder, "embed", overflow)
    changed = settings.model_copy(update={"precision": "bf16"})
    outcome = run(changed, select="+mc5_metrics")
    assert any("check mc5_embeddings_sound" in line for line in outcome.failures)
    predictions = str(ValueStore(settings.storage_root).path("mc5_oof_predictions"))
    assert digests(settings)[predictions] == before[predictions]
    # The failed check is remembered: the embeddings are not taken for current.
    with dg.DagsterInstance.get() as instance:
        again = plan(changed, instance, select="+mc5_metrics")
    assert any(one.asset == "mc5_embeddings" and "did not pass" in one.reason for one in again)


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        ("mc5_metrics", {"mc5_metrics"}),
        ("comparison, folds", {"comparison", "folds"}),
        ("tag:stage=submission", {"final_classifier", "submission", "test_clips", "test_embeddings", "test_metrics"}),
        ("center_metrics+", {"center_metrics", "comparison", "report", "submission", "test_metrics"}),
        ("+mc5_embeddings", {"curated_clips", "folds", "cnn14_checkpoint", "mc5_embeddings"}),
        ("tag:stage=export", {"notebook_artifacts", "report"}),
    ],
)
def test_selections(unchanged: Settings, selection: str, selected: set[str]) -> None:
    assert planned(unchanged, unchanged, select=selection, force=True) == selected


@pytest.mark.parametrize(("selection", "message"), [("mc5_metric", "there is no asset 'mc5_metric'"), ("a:b(", "a:b(")])
def test_selections_that_mean_nothing(unchanged: Settings, selection: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        planned(unchanged, unchanged, select=selection)


@pytest.mark.parametrize(("folds", "message"), [(["5"], "the folds are 0 to 4"), (["0", "2"], "consecutive")])
def test_folds_that_cannot_be_run(unchanged: Settings, folds: list[str], message: str) -> None:
    with environment_of(unchanged), pytest.raises(UserError, match=message):
        run(unchanged, select="mc5_embeddings", folds=folds, force=True)


def test_cuda_where_there_is_none_is_an_error_before_any_work(settings: Settings) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match="Device cuda was asked for, .*--device auto"):
        run(settings.model_copy(update={"device": "cuda"}), select="mc5_embeddings", folds=["0"], force=True)
