"""Checks of one scheme against another: is it worth its cost, may a submission be made, are known figures reproduced?"""

from functools import partial

import dagster as dg

from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.display import records
from fa_assets.metrics.figures import Figures
from fa_assets.metrics.gate import MARGIN, WAY_OUT
from fa_assets.metrics.reproduction import RECORDED_OVERALL, TOLERANCE, compare_with_recorded, is_recorded_case
from fa_assets.store.values import Value


def comparison_checks(comparison: Asset, schemes: tuple[str, str]) -> list[Check]:
    """Checks of the comparison."""
    return [
        Check(
            comparison,
            partial(not_worse_than_baseline, schemes=schemes),
            f"The crop scheme {schemes[0]} is not worse than {schemes[1]}.",
        ),
        gate_check(comparison, "baseline scheme"),
    ]


def gate_check(judged: Asset, baseline: str) -> Check:
    """The check of `comparison`, or of `blend`, without which no submission is made; `baseline` is what it is held against."""
    return Check(
        judged,
        submission_gate,
        f"LWLRAP is not below FA_MIN_LWLRAP; without that setting, it is shown to be above chance, and not {MARGIN} or more "
        f"below the {baseline}'s on the same clips (97.5% bounds). A submission is only made when it has passed.",
    )


def reproduction_checks(metrics: Asset, folds: Asset, weights: Asset) -> list[Check]:
    """Checks that the recorded figures are reproduced; none where FA_CHECKPOINT is not those of CNN14 that are published."""
    if (weights.name, weights.settings["checkpoint"]) != ("cnn14_checkpoint", "published"):
        return []
    return [
        Check(
            metrics,
            fsdkaggle2019_reproduced,
            "On FSDKaggle2019's 4970 curated clips with the published weights: LWLRAP per fold is within "
            f"{TOLERANCE} of what was recorded, and overall of what the recorded folds imply. Judged on those clips alone.",
            reads={"folds": folds, "weights": weights},
        )
    ]


def not_worse_than_baseline(comparison: Value, *, schemes: tuple[str, str]) -> dg.AssetCheckResult:
    """Warns where the scheme is worse than the baseline."""
    row = next(row for row in comparison.table.to_pylist() if row["scope"] == "overall")
    passed = row["difference"] >= 0
    advice = (
        f" {schemes[0]} does not help here: use {schemes[1]} (FA_SCHEME), and look at the clips that are longer than a "
        "crop, the "
        "only ones in which the two differ."
    )
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"LWLRAP {row['lwlrap']:.4f} with {schemes[0]}, {row['baseline']:.4f} with {schemes[1]}."
        + ("" if passed else advice),
        metadata={name: row[name] for name in ("lwlrap", "baseline", "difference")},
    )


def submission_gate(comparison: Value) -> dg.AssetCheckResult:
    """Warns where no submission may be made; `submission` refuses it, where there are test clips."""
    gate = comparison.header.details
    return dg.AssetCheckResult(
        passed=gate["gate_passed"],
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{gate['gate']}." if gate["gate_passed"] else f"No submission is made: {gate['gate']}. {WAY_OUT}",
    )


def fsdkaggle2019_reproduced(metrics: Value, folds: Value, weights: Value) -> dg.AssetCheckResult | str:
    """Fails where the figures are not those recorded for the same clips and weights."""
    fnames, labels = (folds.table[name].to_pylist() for name in ("fname", "labels"))
    if not is_recorded_case(fnames, labels, weights.table["sha1"][0].as_py()):
        return "not FSDKaggle2019's curated clips with the published weights"
    figures = compare_with_recorded(Figures.of_table(metrics.table, metrics.header.details["classes"]))
    passed = all(figure.within for figure in figures)
    shown = ", ".join(
        f"{'' if figure.name == 'overall' else 'fold '}{figure.name} {figure.lwlrap:.4f} ({figure.difference:+.4f})"
        for figure in figures
    )
    advice = ". They hold for the default settings (C, iterations, folds); check what is set otherwise."
    return dg.AssetCheckResult(
        passed=passed,
        description=f"{'within' if passed else 'not within'} {TOLERANCE} of what was recorded: {shown}"
        + f"; the notebook printed {RECORDED_OVERALL} overall, which its folds do not imply"
        + ("" if passed else advice),
        metadata={
            "figures": records(
                ["scope", "lwlrap", "recorded", "difference"],
                [(figure.name, figure.lwlrap, figure.recorded, figure.difference) for figure in figures],
            ),
        },
    )
