"""Checks of partitioned assets: what is wrong in which fold, in one verdict.

A run of one fold records the verdict for that fold. A run of several records it once, for all of them.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from fa_assets.graph.display import records


def verdict_by_fold(
    problems: Mapping[str, Sequence[str]],
    *,
    good: str,
    advice: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """The result of a check that found `problems` (fold -> what is wrong there, nothing where all is well)."""
    rows = [(int(fold), what) for fold in sorted(problems) for what in problems[fold]]
    return dg.AssetCheckResult(
        passed=not rows,
        severity=severity,
        description=f"{advice} {'; '.join(f'fold {fold}: {what}' for fold, what in rows)}" if rows else good,
        metadata={"problems": records(["fold", "problem"], rows)} if rows else {},
    )
