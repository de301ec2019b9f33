"""Every check: it passes on a good run, fails on a damaged one, and its message says what to do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from fa_assets.definitions import build_definitions
from fa_assets.encoders.cnn14.definition import CARD
from fa_assets.graph import tables
from fa_assets.graph.checks_clips import folds_balanced
from fa_assets.graph.checks_embeddings import embedding_problems, sound
from fa_assets.graph.checks_evaluation import (
    above_chance,
    classifier_problems,
    classifiers_fitted,
    clips_new_to_encoder,
)
from fa_assets.graph.verdicts import offenders, with_offenders
from fa_assets.metrics.figures import METRICS, figures_table
from fa_assets.metrics.predictions import Predictions
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_matrix, list_column
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import Value, ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.recorded import put, put_before, ranks_of, with_precision

FOLDED = {"mc5_embeddings_sound", "center_embeddings_sound"}


SIMILARITY = 0.9999
"""Untrained weights find these few sounds all alike."""


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Settings:
    return finished.copy(tmp_path)


def test_an_offender_whose_name_is_part_of_a_word_is_named() -> None:
    found = offenders("missing", ["class"], [("car",), ("dog",)], bad="Missing: 'dog'. Take care.", good="")
    assert str(with_offenders(found, "x").description).endswith("These are: 'car'.")


def definitions_of(settings: Settings) -> dg.Definitions:
    return build_definitions(settings.model_copy(update={"duplicate_similarity": SIMILARITY}))


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    with dg.DagsterInstance.ephemeral():
        return definitions_of(Settings()).resolve_asset_graph()


def evaluate(settings: Settings, name: str) -> dg.AssetCheckResult | None:
    """What a check that needs no more than the storage says of it; None where there is nothing to judge."""
    checks = definitions_of(settings).asset_checks or ()
    (check,) = (one for one in checks for key in one.check_keys if key.name == name)
    return next(check(dg.build_asset_check_context()), None)  # type: ignore[call-overload, no-any-return]


def rewrite(settings: Settings, asset: str, change: Callable[[pa.Table], pa.Table], fold: str | None = None) -> None:
    values = ValueStore(settings.storage_root)
    value = values.read(asset, fold)
    put(settings.storage_root, change(value.table), value.header)


def with_column(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    def apply(table: pa.Table) -> pa.Table:
        position = table.column_names.index(name)
        field = table.schema.field(name)
        return table.set_column(position, field, pa.array(change(table[name].to_pylist()), field.type))

    return apply


def first(values: list[Any], new: Any) -> list[Any]:
    return [new, *values[1:]]


def damage_levels(settings: Settings) -> None:
    rewrite(settings, "curated_clips", with_column("peak", lambda values: first(values, 0.0)))
    rewrite(settings, "curated_clips", with_column("clipped_share", lambda values: [*values[:-1], 0.5]))


def damage_names(settings: Settings) -> None:
    rewrite(settings, "curated_clips", with_column("labels", lambda values: first(values, [values[0][0].upper()])))


def damage_groups(settings: Settings) -> None:
    rewrite(settings, "folds", with_column("group", lambda values: ["one site"] * len(values)))


def damage_recordings(settings: Settings) -> None:
    rewrite(settings, "folds", with_column("same_recording", lambda values: [values[0] or "a.wav"] * len(values)))


def damage_bytes(settings: Settings) -> None:
    rewrite(settings, "folds", with_column("sha256", lambda values: ["same"] * 3 + values[3:]))


def damage_folds(settings: Settings) -> None:
    rewrite(settings, "folds", with_column("fold", lambda values: [0 if fold == 4 else fold for fold in values]))


def damage_labels(settings: Settings) -> None:
    rewrite(settings, "folds", with_column("labels", lambda values: first([["Noise"]] * len(values), ["Tone"])))


def damage_left_out(settings: Settings) -> None:
    values = ValueStore(settings.storage_root)
    value = values.read("curated_clips")
    details = {**value.header.details, "left_out": [["x.wav", "empty file"]]}
    put(settings.storage_root, value.table, replace(value.header, details=details))


def damage_comparison(settings: Settings) -> None:
    rewrite(settings, "comparison", with_column("difference", lambda values: first(values, -0.01)))


def damage_gate(settings: Settings) -> None:
    values = ValueStore(settings.storage_root)
    value = values.read("comparison")
    details = {**value.header.details, "gate_passed": False, "gate": "it is bad"}
    put(settings.storage_root, value.table, replace(value.header, details=details))


def damage_metrics(settings: Settings) -> None:
    rewrite(settings, "mc5_metrics", with_column("value", lambda values: [value and 0.1 * value for value in values]))


def damage_predictions(settings: Settings) -> None:
    rewrite(settings, "mc5_oof_predictions", lambda table: table.slice(4))


def damage_ledger(settings: Settings) -> None:
    """An earlier materialization of the metrics that was better."""
    root = settings.storage_root
    put_before(root, "run1", 0.99, with_precision(ranks_of(root), 1))


def damage_similarity(settings: Settings) -> None:
    values = ValueStore(settings.storage_root)
    twin = embedding_matrix(values.read("mc5_embeddings", "0").table["embedding"])[:1]

    def plant(table: pa.Table) -> pa.Table:
        vectors = np.concatenate([twin, embedding_matrix(table["embedding"])[1:]])
        return table.set_column(1, table.schema.field("embedding"), list_column(vectors))

    rewrite(settings, "mc5_embeddings", plant, fold="3")


def damage_test_clips(settings: Settings) -> None:
    rewrite(settings, "test_clips", with_column("same_as", lambda values: ["00.wav", *values[1:]]))


def damage_test_recordings(settings: Settings) -> None:
    rewrite(settings, "test_clips", with_column("same_recording", lambda values: ["00.wav", *values[1:]]))


def damage_test_embeddings(settings: Settings) -> None:
    curated = ValueStore(settings.storage_root).read("mc5_embeddings", "0").table

    def plant(table: pa.Table) -> pa.Table:
        vectors = np.concatenate([embedding_matrix(one["embedding"])[:1] for one in (curated, table)])
        return table.slice(0, 2).set_column(1, table.schema.field("embedding"), list_column(vectors))

    rewrite(settings, "test_embeddings", plant)


def of_corpus(settings: Settings, corpus: str) -> Ledger:
    ledger = Ledger(settings.storage_root / "ledger")
    now = next(ledger.newest_of("curated_clips"))
    assert now.metadata["corpus"] == "Small sounds"
    ledger.append(replace(now, id=ledger.new_id(), metadata={**now.metadata, "corpus": corpus}))
    return ledger


def damage_training_data(settings: Settings) -> None:
    of_corpus(settings, "AudioSet")


def damage_checkpoint(settings: Settings) -> None:
    ours = settings.storage_root / "weights.pth"
    ours.write_bytes(b"not these")
    rewrite(settings, "cnn14_checkpoint", with_column("path", lambda values: [str(ours)]))


DAMAGE: dict[str, tuple[Callable[[Settings], None], str, bool]] = {
    "checkpoint_intact": (damage_checkpoint, "Materialize cnn14_checkpoint again", True),
    "every_clip_used": (damage_left_out, "fix them", False),
    "class_names": (damage_names, "1 class names look like mistakes", False),
    "sound_levels": (damage_levels, "2 clips are silent or clipped: listen", False),
    "no_duplicates_across_folds": (damage_bytes, "Take one of each out", False),
    "classes_in_folds": (damage_labels, "add clips of them", False),
    "positives_in_every_fold": (damage_labels, "Add clips of them", False),
    "folds_complete": (damage_folds, "fold 4 is empty. Materialize", True),
    "folds_balanced": (damage_folds, "FA_FOLDS=fresh", False),
    "groups_whole": (damage_groups, "1 groups lie in several folds", False),
    "recordings_whole": (damage_recordings, "1 sets of clips sound like one recording each", False),
    "mc5_predictions_complete": (damage_predictions, "materialize mc5_oof_predictions again", True),
    "mc5_above_chance": (damage_metrics, "look at the labels and the weights", False),
    "mc5_not_worse": (damage_ledger, "FA_MAX_LWLRAP_DROP", False),
    "no_near_duplicates_across_folds": (damage_similarity, "the same group in train_curated.csv", False),
    "no_curated_clips_in_test": (damage_test_clips, "1 test clips are curated clips, byte for byte", False),
    "no_curated_recordings_in_test": (damage_test_recordings, "1 test clips sound like one recording with", False),
    "no_near_duplicates_in_test": (damage_test_embeddings, "are nearly the same", False),
    "clips_new_to_encoder": (damage_training_data, "AudioSet: it has heard them", False),
    "not_worse_than_baseline": (damage_comparison, "use center", False),
    "submission_gate": (damage_gate, "No submission is made: it is bad. Check the weights", False),
}
"""What makes a check fail, what it then says, and whether it blocks."""
NOTHING_TO_JUDGE = {"groups_whole", "mc5_not_worse"}
"""In a first run, on clips without groups."""


def test_in_a_run_all_pass_on_good_values_and_the_damaged_one_does_not(settings: Settings, graph: AssetGraph) -> None:
    keys = {key for key in graph.asset_check_keys if key.name in DAMAGE}
    assert {key.name for key in keys} == set(DAMAGE)
    job = dg.define_asset_job("checks_alone", selection=dg.AssetSelection.checks(*keys))
    whole = dg.Definitions.merge(definitions_of(settings), dg.Definitions(jobs=[job]))

    def failed() -> dict[str, dg.AssetCheckSeverity]:
        # The instance is opened first: Dagster looks for the definitions' state in the one that was opened last.
        with environment_of(settings), dg.DagsterInstance.ephemeral() as instance:
            result = whole.resolve_job_def("checks_alone").execute_in_process(instance=instance, raise_on_error=False)
            told = result.get_asset_check_evaluations()
            judged = {one.check_name for one in told} | {"clips_new_to_encoder"}  # damaged clips are of no corpus
            assert judged == set(DAMAGE) - NOTHING_TO_JUDGE
            return {one.check_name: one.severity for one in told if not one.passed}

    assert failed() == {}
    damage_predictions(settings)
    damage_left_out(settings)
    assert failed() == {
        "mc5_predictions_complete": dg.AssetCheckSeverity.ERROR,
        "every_clip_used": dg.AssetCheckSeverity.WARN,
    }


@pytest.mark.parametrize("name", DAMAGE)
def test_it_passes_on_good_values_and_fails_on_damaged_ones(
    name: str, finished: FinishedRun, settings: Settings, graph: AssetGraph
) -> None:
    damage, message, blocking = DAMAGE[name]
    good = evaluate(finished.settings, name)
    assert name in NOTHING_TO_JUDGE if good is None else good.passed
    damage(settings)
    bad = evaluate(settings, name)
    assert bad and not bad.passed
    assert message in str(bad.description)
    assert (bad.severity is dg.AssetCheckSeverity.ERROR) == blocking
    key = next(key for key in graph.asset_check_keys if key.name == name)
    assert graph.get(key).blocking == blocking


@pytest.mark.parametrize(("trained_on", "heard"), [(("AudioSet", "FSD50K"), True), (("AudioSet",), False)])
def test_an_encoder_that_heard_a_larger_corpus_flatters(
    settings: Settings, trained_on: tuple[str, ...], heard: bool
) -> None:
    ledger = of_corpus(settings, "FSDKaggle2019")
    card = replace(CARD, trained_on=trained_on)
    found = clips_new_to_encoder(ValueStore(settings.storage_root).read("mc5_metrics"), ledger, card=card)
    assert isinstance(found, dg.AssetCheckResult)
    assert (found.passed, found.severity) == (not heard, dg.AssetCheckSeverity.WARN)
    told = "trained on FSD50K, which holds the clips of FSDKaggle2019", "LWLRAP and mAP in mc5_metrics", "test_metrics"
    assert all((one in str(found.description)) == heard for one in told)


def test_weights_that_were_not_trained_are_told(settings: Settings) -> None:
    def passed() -> bool:
        told = evaluate(settings, "weights_trained")
        return bool(told and told.passed)

    assert not passed()
    rewrite(settings, "cnn14_checkpoint", with_column("trained", lambda values: [True]))
    assert passed()


FNAMES = [f"{row}.wav" for row in range(6)]
SOUND = np.random.default_rng(0).uniform(0, 1, (6, CARD.dimension)).astype(np.float32)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full_like(SOUND, np.nan), "NaN or infinite: 0.wav"),
        (np.repeat(SOUND[:1], 6, axis=0), "every clip has the same embedding"),
        (SOUND[:, :100], "100 columns, 2048 expected"),
        (SOUND * 1e6, "norms of"),
        (SOUND * 1e-9, "norms of"),
    ],
)
def test_embeddings_that_are_not_sound_are_told(vectors: np.ndarray, message: str) -> None:
    assert embedding_problems(FNAMES, SOUND, FNAMES, CARD) == []
    assert any(message in problem for problem in embedding_problems(FNAMES, vectors, FNAMES, CARD))


def test_norms_are_judged_where_the_card_has_bounds() -> None:
    assert embedding_problems(FNAMES, SOUND * 1e6, FNAMES, replace(CARD, norm_bounds=None)) == []


def test_a_solver_that_did_not_converge_or_learnt_nothing_is_told(finished: FinishedRun) -> None:
    good = ValueStore(finished.settings.storage_root).read("mc5_oof_predictions").header.details["classifiers"]
    assert classifier_problems(good) == []
    bad = [{**good[0], "converged": False}, {**good[1], "trained": False}, *good[2:]]
    first_problem, second_problem = classifier_problems(bad)
    assert "did not converge" in first_problem
    assert "nothing to learn from" in second_problem


@pytest.mark.parametrize(
    ("state", "advice"),
    [({"converged": False}, "be: raise FA_MAX_ITER. "), ({"trained": False}, "be: add clips of those classes. ")],
)
def test_more_iterations_are_advised_where_a_solver_did_not_converge(state: dict[str, bool], advice: str) -> None:
    row = {"fold": 0, "class_name": "a", "iterations": 9, "converged": True, "trained": True, **state}
    header = SimpleNamespace(details={"classifiers": [row]})
    assert advice in str(classifiers_fitted(Value(pa.table({}), header)).description)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clips", "told"), [(4, "4 independent clips or groups are too few"), (30, "Nothing was learnt")]
)
def test_too_few_units_are_not_said_to_have_taught_nothing(
    clips: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one label of each clip in turn; 4 clips are ranked perfectly, 30 at random (seed 0)."""
    truth = np.eye(2, dtype=bool)[np.arange(clips) % 2]
    scores = truth.astype(float) if clips < 5 else np.random.default_rng(0).random((clips, 2))
    found = Predictions(
        np.arange(clips).astype(str), np.arange(clips) % 5, ("a", "b"), truth, scores, scores, np.arange(clips)
    )
    table = figures_table(METRICS["lwlrap"](found), tables.METRICS)
    monkeypatch.setattr("fa_assets.graph.checks_evaluation.read_predictions", lambda _: found)
    value = Value(table, SimpleNamespace(details={"classes": ["a", "b"]}))  # type: ignore[arg-type]
    verdict = above_chance(value, value)
    assert not verdict.passed and told in str(verdict.description)


def test_the_verdict_of_several_folds_names_the_fold_and_what_to_do(settings: Settings) -> None:
    values = ValueStore(settings.storage_root)
    folds = values.read("folds")
    stored = {fold: values.read("mc5_embeddings", fold) for fold in ("0", "3")}
    assert (sound(stored, folds, card=CARD).passed, sound(stored, folds, card=CARD).description) == (True, "sound")
    stored["3"] = replace(stored["3"], table=stored["3"].table.slice(1))
    bad = sound(stored, folds, card=CARD)
    assert not bad.passed
    assert "fold 3: the rows are not the fold's clips in their order" in str(bad.description)


def test_every_check_says_what_it_is(graph: AssetGraph) -> None:
    for key in graph.asset_check_keys:
        assert graph.get(key).description, key
        assert (graph.get(key).partitions_def is not None) == (key.name in FOLDED), key


@pytest.mark.parametrize(
    ("given", "told"), [(None, "have drifted: set"), (0, "train_curated_folds.csv is less balanced")]
)
def test_folds_of_a_file_are_advised_to_move_it_away(given: int | None, told: str) -> None:
    columns = {
        "fname": list(map(str, range(100))),
        "labels": [["a"]] * 50 + [["b"]] * 50,
        "group": [""] * 100,
        "sha256": list(map(str, range(100))),
        "fold": [row // 20 for row in range(100)],
    }
    folds = Value(pa.table(columns), SimpleNamespace(details={"classes": ["a", "b"]}))  # type: ignore[arg-type]
    clips = Value(pa.table({"given_fold": pa.array([given] * 100, pa.int8())}), folds.header)
    found = folds_balanced(folds, clips, near_duplicates=False)
    assert not found.passed and told in str(found.description) and "FA_FOLDS=fresh" in str(found.description)


def test_a_fold_far_too_large_is_said_and_the_group_behind_it_is_named() -> None:
    """80 of 100 clips are one group: fresh folds are no better, so only the absolute limit can tell."""
    columns = {
        "fname": [f"{row}.wav" for row in range(100)],
        "labels": [["a"], ["b"]] * 50,
        "group": ["site"] * 80 + [""] * 20,
        "sha256": list(map(str, range(100))),
        "fold": [0] * 80 + [1, 2, 3, 4] * 5,
    }
    header = SimpleNamespace(details={"classes": ["a", "b"]})
    clips = Value(pa.table({"given_fold": pa.nulls(100)}), header)  # type: ignore[arg-type]
    found = folds_balanced(Value(pa.table(columns), header), clips, near_duplicates=False)  # type: ignore[arg-type]
    assert not found.passed
    said = "fold 0 has 80 clips, where 20 would be even. Groups larger than a fold: 'site (80 clips)'. Divide"
    assert said in str(found.description)
    assert found.metadata["groups"].records[0].data == {"group": "site", "clips": 80}
