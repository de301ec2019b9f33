"""Checks of one scheme's predictions and metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np

from fa_assets.graph.by_fold import verdict_by_fold
from fa_assets.graph.display import records
from fa_assets.graph.partitions import FOLD_NAMES, FOLDS
from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.near_duplicates import pairs_across_folds
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.ledger import Ledger, LedgerEntry, MetricRow

COMPARABLE_CHANGE = 0.1
"""Share of the labels that may have come or gone for two LWLRAPs to be held against each other."""
SHOWN_PAIRS = 100


def evaluation_checks(
    scheme: str, predictions: dg.AssetsDefinition, metrics: dg.AssetsDefinition, max_drop: float
) -> list[dg.AssetChecksDefinition]:
    """Checks of one scheme's predictions and metrics."""
    asset = predictions.key.to_user_string()

    @dg.asset_check(
        asset=predictions,
        name=f"{scheme}_classifiers_fitted",
        partitions_def=FOLDS,
        description="Every class had positives and negatives to learn from, and every solver converged.",
    )
    def classifiers_fitted(
        context: dg.AssetCheckExecutionContext, recorder: dg.ResourceParam[Recorder]
    ) -> dg.AssetCheckResult:
        problems: dict[str, list[str]] = {}
        for fold in sorted(context.op_execution_context.partition_keys):
            with recorder.values.scan(asset, fold) as scan:
                problems[fold] = classifier_problems(scan.header.details["classifiers"])
        return verdict_by_fold(
            problems,
            good="all fitted",
            advice="Classifiers that are not what they should be: add clips of those classes, or raise FA_MAX_ITER.",
            severity=dg.AssetCheckSeverity.WARN,
        )

    @dg.asset_check(
        asset=metrics,
        name=f"{scheme}_predictions_complete",
        blocking=True,
        description="Every clip was predicted exactly once, with finite scores for every class.",
    )
    def predictions_complete(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        expected = recorder.values.read("folds").table["fname"].to_pylist()
        n_classes = recorder.values.read("class_vocabulary").table.num_rows
        seen: Counter[str] = Counter()
        not_finite = 0
        for fold in FOLD_NAMES:
            with recorder.values.scan(f"{scheme}_oof_predictions", fold, rows_at_once=1 << 18) as scan:
                for part in scan.parts:
                    counts = part["fname"].value_counts()
                    seen.update(dict(zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)))
                    not_finite += int((~np.isfinite(np.asarray(part["logit"]))).sum())
        wrong = [fname for fname in sorted(seen.keys() | set(expected)) if seen.get(fname, 0) != n_classes]
        passed = not wrong and not not_finite and len(set(expected)) == len(expected)
        return dg.AssetCheckResult(
            passed=passed,
            description="complete"
            if passed
            else f"{len(wrong)} clips are not predicted exactly once, {not_finite} scores are not finite: materialize "
            f"{scheme}_oof_predictions again, all folds.",
            metadata={"clips": records(["fname"], [[fname] for fname in wrong])} if wrong else {},
        )

    @dg.asset_check(
        asset=metrics,
        name=f"{scheme}_above_chance",
        description="LWLRAP is above that of random scores on these labels.",
    )
    def above_chance(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        from fa_assets.metrics.labels import multi_hot
        from fa_assets.metrics.lwlrap import chance_lwlrap

        frame = recorder.values.read(f"{scheme}_metrics").table.to_pandas()
        lwlrap = float(frame["precision_sum"].sum() / frame["count"].sum())
        classes = recorder.values.read("class_vocabulary").table["class_name"].to_pylist()
        clips = recorder.values.read("curated_clips").table
        chance = chance_lwlrap(multi_hot(clips["labels"].to_pylist(), classes))
        return dg.AssetCheckResult(
            passed=lwlrap > chance,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"LWLRAP {lwlrap:.4f}, random scores give {chance:.4f}."
            + ("" if lwlrap > chance else " Nothing was learnt: look at the labels and the weights."),
            metadata={"lwlrap": lwlrap, "chance": chance},
        )

    @dg.asset_check(
        asset=metrics,
        name=f"{scheme}_not_worse",
        description=f"LWLRAP is not more than {max_drop:g} (FA_MAX_LWLRAP_DROP) below the last other materialization's, where "
        "the two are of nearly the same labels.",
    )
    def not_worse(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        now, before = _newest_two(Ledger(recorder.root / "ledger"), f"{scheme}_metrics")
        if before is None:
            return dg.AssetCheckResult(passed=True, description="There is no earlier one to compare with.")
        change = LwlrapChange.between(before.metrics, now.metrics)
        return dg.AssetCheckResult(
            passed=not change.is_drop(max_drop),
            severity=dg.AssetCheckSeverity.WARN,
            description=change.in_words(max_drop),
            metadata={
                "before": change.before,
                "now": change.now,
                "labels_changed_share": change.labels_changed,
                "run_before": before.run_id,
            },
        )

    return [classifiers_fitted, predictions_complete, above_chance, not_worse]


@dataclass(frozen=True)
class LwlrapChange:
    """LWLRAP before and now, and the share of positives per class that came or went in between (0: the same labels)."""

    before: float
    now: float
    labels_changed: float

    @classmethod
    def between(cls, before: Sequence[MetricRow], now: Sequence[MetricRow]) -> "LwlrapChange":
        """From the metric rows of two materializations of one scheme."""
        totals = []
        for rows in (before, now):
            count: Counter[str] = Counter()
            for row in rows:
                count[row.class_name] += row.count
            lwlrap = sum(row.precision_sum for row in rows) / max(sum(count.values()), 1)
            totals.append((lwlrap, count))
        (lwlrap_before, count_before), (lwlrap_now, count_now) = totals
        changed = sum(abs(count_now[name] - count_before[name]) for name in count_before | count_now)
        return cls(lwlrap_before, lwlrap_now, changed / max(sum(count_before.values()), 1))

    @property
    def comparable(self) -> bool:
        return self.labels_changed <= COMPARABLE_CHANGE

    def is_drop(self, most: float) -> bool:
        """Whether LWLRAP fell by more than `most` on nearly the same labels."""
        return self.comparable and self.before - self.now > most

    def in_words(self, most: float) -> str:
        figures = f"LWLRAP {self.now:.4f}, {self.before:.4f} before ({self.now - self.before:+.4f})"
        if not self.comparable:
            return f"{figures}. Not compared: {self.labels_changed:.0%} of the labels came or went."
        if not self.is_drop(most):
            return f"{figures}."
        return (
            f"{figures}: more than {most:g} lower. See what differs between the two runs (`run_diff` in the catalog: inputs, "
            "settings, code, folds) before you use these numbers; raise FA_MAX_LWLRAP_DROP if this is expected."
        )


def _newest_two(ledger: Ledger, asset: str) -> tuple[LedgerEntry, LedgerEntry | None]:
    """The newest materialization, and the newest before it of another data version."""
    entries = ledger.newest_of(asset)
    now = next(entries)
    return now, next((one for one in entries if one.data_version != now.data_version), None)


def comparison_checks(comparison: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of MC5 against the centre crop."""

    @dg.asset_check(asset=comparison, description="The mean over five crops is not worse than the centre crop alone.")
    def mc5_not_worse_than_center(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        row = next(row for row in recorder.values.read("comparison").table.to_pylist() if row["scope"] == "overall")
        passed = row["difference"] >= 0
        return dg.AssetCheckResult(
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"LWLRAP {row['mc5']:.4f} with five crops, {row['center']:.4f} with the centre crop."
            + (
                ""
                if passed
                else " Five crops cost five times as much and bring nothing here: use center, and look at the clips over 10 s, "
                "the only ones in which the two differ."
            ),
            metadata={name: row[name] for name in ("mc5", "center", "difference")},
        )

    return [mc5_not_worse_than_center]


def leakage_checks(
    metrics: dg.AssetsDefinition, embeddings: dg.AssetsDefinition, threshold: float
) -> list[dg.AssetChecksDefinition]:
    """Checks that need all embeddings of a scheme and belong to its metrics."""
    asset = embeddings.key.to_user_string()

    @dg.asset_check(
        asset=metrics,
        description=f"No two clips in different folds are nearly the same to the model: a cosine of {threshold:g} "
        "(FA_DUPLICATE_SIMILARITY) of their standardised embeddings.",
    )
    def no_near_duplicates_across_folds(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        stored = {fold: recorder.values.read(asset, fold).table for fold in FOLD_NAMES}
        fnames = [fname for table in stored.values() for fname in table["fname"].to_pylist()]
        folds = np.repeat([int(fold) for fold in stored], [table.num_rows for table in stored.values()])
        vectors = np.concatenate([embedding_matrix(table["embedding"]) for table in stored.values() if table.num_rows])
        pairs = pairs_across_folds(vectors, folds, threshold)
        rows = [
            (
                fnames[one.first],
                int(folds[one.first]),
                fnames[one.second],
                int(folds[one.second]),
                round(one.similarity, 4),
            )
            for one in pairs[:SHOWN_PAIRS]
        ]
        concerned = len({row for pair in pairs for row in (pair.first, pair.second)})
        return dg.AssetCheckResult(
            passed=not pairs,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(pairs)} pairs of near-duplicates in different folds ({concerned} of {len(fnames)} clips): the "
            "scores may flatter. Listen to some; where they are one recording, give them the same group in train_curated.csv "
            "(docs/refreshes.md), or take one out. Where they merely sound alike, raise FA_DUPLICATE_SIMILARITY."
            if pairs
            else "no near-duplicates in different folds",
            metadata={
                "clips_concerned": concerned,
                **({"pairs": records(["clip", "fold", "like", "in_fold", "similarity"], rows)} if rows else {}),
            },
        )

    return [no_near_duplicates_across_folds]


def classifier_problems(classifiers: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with one fold's classifiers, in words; `classifiers` as in the header of the predictions."""
    return [
        f"{row['class_name']} had nothing to learn from among the other folds"
        if not row["trained"]
        else f"{row['class_name']} did not converge in {row['iterations']} iterations"
        for row in classifiers
        if not (row["trained"] and row["converged"])
    ]
