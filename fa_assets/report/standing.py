"""How good the model is: the sentence, the figures and the checks that the report begins with.

What a figure is, is said here, once on the page.
"""

from collections.abc import Iterator, Sequence

from fa_assets.metrics.bootstrap import CONFIDENCE
from fa_assets.metrics.chance import frequency_lwlrap, random_lwlrap
from fa_assets.metrics.comparison import interval
from fa_assets.metrics.figures import OVERALL
from fa_assets.metrics.label_ranks import rank_changes
from fa_assets.report.evaluated import Before, Evaluated
from fa_assets.report.page import Figure, Finding
from fa_assets.store.check_records import CheckRecord

_SAID_BEFORE = ("weights_trained", "every_clip_used")
"""Checks that find what the page's warnings say."""
_TEST = {"lwlrap": "LWLRAP", "map": "mAP"}


def standing(run: Evaluated) -> tuple[str, list[Figure]]:
    """The answer and the figures."""
    own, average = interval(run.figures), run.figures.of(OVERALL, "map")[""]
    interval_of_own = between(own.low, own.high, own.units)
    by_chance = {
        "random scores": random_lwlrap(run.predictions.truth),
        "class frequencies alone": frequency_lwlrap(run.predictions.truth),
    }
    how, chance = max(by_chance.items(), key=lambda one: one[1])
    better = "ranks labels better than chance" if own.low > chance else "is not shown to rank labels better than chance"
    answer = (
        f"{run.encoder} with {run.schemes[0]} crops {better}: LWLRAP {own.difference:.4f}, {interval_of_own}, on clips that "
        f"the classifier did not see; {how} reach {chance:.4f}. {own.warning}"
    )
    return answer.strip(), [
        Figure(
            "LWLRAP",
            f"{own.difference:.4f}",
            interval_of_own,
            "For each label of a clip: of the classes ranked at or above it, the share that the clip carries. The mean over "
            "all labels, each clip judged by the classifier of the other folds.",
        ),
        Figure(
            "Chance",
            f"{chance:.4f}",
            "",
            f"LWLRAP of {how}, the higher one of random scores and class frequencies.",
        ),
        *_since(run),
        Figure(
            "mAP",
            "–" if average.value is None else f"{average.value:.4f}",
            between(average.low, average.high, average.units),
            "Average precision of each class among the clips of a fold; the mean over classes, then over folds.",
        ),
        *_on_test(run),
    ]


def between(low: float | None, high: float | None, units: int | None, sign: str = "") -> str:
    """An interval in words; empty where there is none."""
    if low is None:
        return ""
    return f"{CONFIDENCE:.0%} interval {low:{sign}.4f} to {high:{sign}.4f} over {units} independent clips or groups"


def findings(checks: Sequence[CheckRecord]) -> list[Finding]:
    """Of the checks that did not pass and whose finding is not said before, the failed ones first."""
    found = [
        Finding(one.severity == "ERROR", f"{one.name} of {one.asset}", one.description)
        for one in checks
        if not one.passed and one.name not in _SAID_BEFORE
    ]
    return sorted(found, key=lambda one: (not one.failed, one.name))


def passed(checks: Sequence[CheckRecord]) -> str:
    """How many passed, and the names of those whose finding is said before."""
    above = sorted({one.name for one in checks if not one.passed and one.name in _SAID_BEFORE})
    return f"{sum(one.passed for one in checks)} of {len(checks)} checks passed" + (
        f"; for {' and '.join(above)} see the top of the page." if above else "."
    )


def _since(run: Evaluated) -> Iterator[Figure]:
    if run.before is None:
        return
    changes = rank_changes(run.before.ranks, run.ranks)
    if changes.change is None:
        yield Figure(
            "Since the run before",
            "–",
            "",
            f"{_named(run.before)} has no clip with the same sound and labels.{changes.relabelling}",
        )
        return
    yield Figure(
        "Since the run before",
        f"{changes.change.difference:+z.4f}",
        between(changes.change.low, changes.change.high, changes.change.units, "+z"),
        f"LWLRAP less that of {_named(run.before)}, on the {changes.compared} clips with the same sound and labels in "
        f"both.{changes.relabelling} {changes.change.warning}".rstrip(),
    )


def _named(run: Before) -> str:
    return f"run {run.run_id[:8]} of {run.at:%Y-%m-%d %H:%M} UTC"


def _on_test(run: Evaluated) -> Iterator[Figure]:
    """Of the final classifier on all test clips with labels."""
    for row in [] if run.test is None else run.test.to_pylist():
        if (row["model"], row["scope"]) == ("final", "all") and row["metric"] in _TEST:
            yield Figure(
                f"{_TEST[row['metric']]} on the test set",
                f"{row['value']:.4f}",
                between(row["low"], row["high"], row.get("units")),
                f"Of the classifier of all clips, on {row['clips']} test clips with labels"
                + (
                    "."
                    if row["metric"] == "lwlrap"
                    else "; average precision among all of them, the mean over classes."
                ),
            )
