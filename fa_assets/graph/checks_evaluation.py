"""Checks of one scheme's predictions and metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import dagster as dg
import numpy as np

from fa_assets.encoders.base import EncoderCard
from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.checks_not_worse import not_worse_check
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.verdicts import offenders
from fa_assets.intake.corpora import heard_with
from fa_assets.metrics.chance import frequency_lwlrap, permutation_threshold, random_lwlrap
from fa_assets.metrics.figures import Figures
from fa_assets.metrics.near_duplicates import pairs_across_folds
from fa_assets.metrics.predictions import predictions_of
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import Value

SHOWN_PAIRS = 100
OUT_OF_REACH = 0.99
"""Permutations that are above this leave no LWLRAP that could be shown to be above chance."""
FEWEST_UNITS = 5
"""Fewer have under 100 orders: the labels' own is among the best 1% of them whatever was learnt."""


def predictions_checks(predictions: Asset, scheme: str) -> list[Check]:
    """Checks of one scheme's predictions."""
    return [
        Check(
            predictions,
            classifiers_fitted,
            "Every class had positives and negatives to learn from, and every solver converged.",
            name=f"{scheme}_classifiers_fitted",
        )
    ]


def metrics_checks(metrics: Asset, predictions: Asset, folds: Asset, scheme: str, max_drop: float) -> list[Check]:
    """Checks of one scheme's metrics."""
    return [
        Check(
            metrics,
            predictions_complete,
            "Every clip was predicted exactly once, with finite scores for every class.",
            name=f"{scheme}_predictions_complete",
            blocking=True,
            reads={"predictions": predictions, "folds": folds},
        ),
        Check(
            metrics,
            above_chance,
            "LWLRAP is above what classifiers reach in 99 of 100 cases that learnt nothing from the sound (by permutations of "
            "clips or groups), and above what class frequencies alone reach.",
            name=f"{scheme}_above_chance",
            reads={"predictions": predictions},
        ),
        not_worse_check(metrics, scheme, max_drop),
    ]


def training_data_check(metrics: Asset, card: EncoderCard) -> Check:
    """Whether an encoder has heard the clips; `metrics` are its."""
    return Check(
        metrics,
        partial(clips_new_to_encoder, card=card),
        "The encoder was not trained on the corpus that the clips are of, as far as both are known (the encoder's card; "
        "SOURCE.txt in the dataset folder).",
        with_ledger=True,
    )


def leakage_checks(metrics: Asset, embeddings: Asset, threshold: float) -> list[Check]:
    """Checks that need all embeddings of a scheme and belong to its metrics."""
    return [
        Check(
            metrics,
            partial(no_near_duplicates_across_folds, threshold=threshold),
            f"No two clips in different folds are nearly the same to the model: a cosine of {threshold:g} "
            "(FA_DUPLICATE_SIMILARITY) of their standardised embeddings.",
            reads={"embeddings": embeddings},
        ),
    ]


def classifiers_fitted(predictions: Value) -> dg.AssetCheckResult:
    """Warns of classes that no classifier was fitted for, or whose solver did not converge."""
    classifiers = predictions.header.details["classifiers"]
    rows = [(one["fold"], problem) for one in classifiers for problem in classifier_problems([one])]
    advice = ["add clips of those classes"] * any(not one["trained"] for one in classifiers)
    advice += ["raise FA_MAX_ITER"] * any(one["trained"] and not one["converged"] for one in classifiers)
    found = "; ".join(f"fold {fold}: {problem}" for fold, problem in rows)
    return offenders(
        "problems",
        ["fold", "problem"],
        rows,
        bad=f"Classifiers that are not what they should be: {' and '.join(advice)}. {found}",
        good="all fitted",
    )


def predictions_complete(metrics: Value, predictions: Value, folds: Value) -> dg.AssetCheckResult:
    """Fails where a clip was not predicted exactly once, or a score is not finite."""
    expected = folds.table["fname"].to_pylist()
    found = predictions_of(predictions.table, predictions.header.details["classes"])
    seen = Counter(found.fnames.tolist())
    wrong = [fname for fname in sorted(seen.keys() | set(expected)) if seen[fname] != 1]
    not_finite = int((~np.isfinite(found.logits)).sum())
    passed = not wrong and not not_finite and len(set(expected)) == len(expected)
    return dg.AssetCheckResult(
        passed=passed,
        description="complete"
        if passed
        else f"{len(wrong)} clips are not predicted exactly once, {not_finite} scores are not finite: materialize "
        f"{predictions.header.asset} again.",
        metadata={"clips": records(["fname"], [[fname] for fname in wrong])} if wrong else {},
    )


def above_chance(metrics: Value, predictions: Value) -> dg.AssetCheckResult:
    """Warns where LWLRAP is not above chance."""
    lwlrap = Figures.of_table(metrics.table, metrics.header.details["classes"]).overall() or 0.0
    found = read_predictions(predictions)
    units = np.asarray(found.units)
    permuted = permutation_threshold(found.truth, found.logits, units)
    many, frequencies = len(np.unique(units)), frequency_lwlrap(found.truth)
    passed = lwlrap > max(permuted, frequencies)
    why = (
        f" It is not shown that more than chance was learnt: {many} independent clips or groups are too few to tell."
        if permuted > OUT_OF_REACH or many < FEWEST_UNITS
        else " Nothing was learnt from the sound: look at the labels and the weights."
    )
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"LWLRAP {lwlrap:.4f}; scores that know nothing of the sound reach {permuted:.4f} in one of 100 cases "
        f"(permutations), class frequencies alone {frequencies:.4f}." + why * (not passed),
        metadata={
            "lwlrap": lwlrap,
            "chance": random_lwlrap(found.truth),
            "chance_99th_percentile": permuted,
            "class_frequencies": frequencies,
        },
    )


def clips_new_to_encoder(metrics: Value, ledger: Ledger, *, card: EncoderCard) -> dg.AssetCheckResult | str:
    """Warns where the encoder's training data holds the clips."""
    corpus = str(next(ledger.newest_of("curated_clips")).metadata.get("corpus") or "")
    if not corpus or not card.trained_on:
        return f"{'the corpus of the clips' if card.trained_on else f'what {card.title} was trained on'} is not known"
    heard = heard_with(corpus, card.trained_on)
    seen = ", ".join(heard or card.trained_on)
    return dg.AssetCheckResult(
        passed=not heard,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{card.title} was trained on {seen}, which holds the clips of {corpus}: it has heard them, perhaps with "
        f"their labels. That flatters LWLRAP and mAP in {metrics.header.asset}, in the metrics of the other scheme and in "
        "test_metrics, the calibration, and every comparison with an encoder that has not heard them; and label_audit "
        "overlooks what the encoder has learnt by heart. Judge it on other clips, or choose another encoder."
        if heard
        else f"{card.title} was trained on {seen}; the clips are of {corpus}.",
        metadata={"corpus": corpus, "trained_on": ", ".join(card.trained_on)},
    )


def no_near_duplicates_across_folds(
    metrics: Value, embeddings: Mapping[str, Value], *, threshold: float
) -> dg.AssetCheckResult:
    """Warns of clips in different folds that are nearly the same to the model."""
    of_folds = {int(fold): value.table for fold, value in embeddings.items() if value.table.num_rows}
    folds, values = list(of_folds), list(of_folds.values())
    found = pairs_across_folds([embedding_matrix(one["embedding"]) for one in values], threshold, SHOWN_PAIRS)
    names = [one["fname"].to_pylist() for one in values]
    rows = [
        [
            *(cell for fold, row in (one.first, one.second) for cell in (names[fold][row], folds[fold])),
            round(one.similarity, 4),
        ]
        for one in found.most_alike
    ]
    clips = sum(one.num_rows for one in values)
    return dg.AssetCheckResult(
        passed=not found.pairs,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{found.pairs} pairs of near-duplicates in different folds ({found.clips} of {clips} clips): the "
        "scores may be too high. Listen to some; where they are one recording, give them the same group in train_curated.csv "
        "(docs/refreshes.md), or take one out. Where they merely sound alike, raise FA_DUPLICATE_SIMILARITY."
        if found.pairs
        else f"None is found at a similarity of {threshold:g}. That clears nothing: other levels, excerpts, shifts and noise "
        "are found by the check recordings_whole of folds, not here (docs/results.md).",
        metadata={
            "clips_concerned": found.clips,
            **({"pairs": records(["clip", "fold", "like", "in_fold", "similarity"], rows)} if rows else {}),
        },
    )


def classifier_problems(classifiers: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with one fold's classifiers, in words; `classifiers` as in the header of the predictions."""
    return [
        f"{row['class_name']} had nothing to learn from among the other folds"
        if not row["trained"]
        else f"{row['class_name']} did not converge in {row['iterations']} iterations"
        for row in classifiers
        if not (row["trained"] and row["converged"])
    ]
