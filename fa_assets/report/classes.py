"""What each class is worth: figures with their intervals, macro and micro averages, precision against recall."""

from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.bootstrap import FEW_UNITS
from fa_assets.metrics.figures import CALIBRATION, CLASS, FOLD, MICRO, OVERALL, Figure, Figures
from fa_assets.metrics.predictions import Predictions
from fa_assets.report.page import Bar, Cell, Table
from fa_assets.report.picture import CYCLE, Picture, draw, shorten

SHOWN_CURVES = 8
MARKS = 200
"""Points of a curve that are drawn."""

_WITH_INTERVAL = {"lwlrap": "LWLRAP", "map": "average precision", "auc": "ROC AUC", "f1": "F1"}
_ALONE = {
    "precision": "precision",
    "recall": "recall",
    "threshold": "threshold",
    "dprime": "d'",
    "precision_at_recall": "precision at recall 0.8",
    "calibration_error_classwise": "calibration error",
}
CLASS_COLUMNS = (
    "class",
    "positives",
    *(column for name in _WITH_INTERVAL.values() for column in (name, f"{name}, 95%")),
    *_ALONE.values(),
)
AVERAGE_COLUMNS = ("figure", "value", "95% (units)")
CLASSWISE = ("map", "auc", "dprime", "precision_at_recall", "f1", "precision", "recall")
"""Figures that have a macro and a micro average."""
CLIPWISE = ("lwlrap", "coverage_error", "one_error")
_OVERALL_ALONE = {
    "coverage_error": "coverage error",
    "one_error": "one-error",
    "brier": "Brier score",
    "brier_skill": "Brier skill",
    "expected_calibration_error": "calibration error",
    "calibration_error_above_0.1": "calibration error above 0.1",
    "calibration_error_classwise": "calibration error, classwise",
}
NAMES = _WITH_INTERVAL | _ALONE | _OVERALL_ALONE
"""What figures are called in print."""


def class_rows(figures: Figures) -> list[tuple[Cell, ...]]:
    """A row for each class, in `CLASS_COLUMNS`, the lowest LWLRAP first and those without any last; the threshold of calibrated
    probabilities where they are."""
    thresholds = figures.of(CLASS, "calibrated_threshold") or figures.of(CLASS, "threshold")
    lwlraps = sorted(figures.of(CLASS).values(), key=lambda one: 2.0 if one.value is None else one.value)
    rows: list[tuple[Cell, ...]] = []
    for one in lwlraps:
        row: list[Cell] = [one.key, one.weight]
        for metric in (*_WITH_INTERVAL, *_ALONE):
            own = (thresholds if metric == "threshold" else figures.of(CLASS, metric)).get(one.key)
            row.append(own.value if own else None)
            if metric in _WITH_INTERVAL:
                row.append(_interval(own) if own else None)
        rows.append(tuple(row))
    return rows


def average_rows(figures: Figures) -> list[tuple[Cell, ...]]:
    """A row for each figure over all clips, or the macro and the micro average over classes, in `AVERAGE_COLUMNS`."""
    scopes = [(metric, OVERALL, NAMES[metric]) for metric in CLIPWISE]
    scopes += [
        (metric, scope, f"{NAMES[metric]}, {average}")
        for metric in CLASSWISE
        for scope, average in ((OVERALL, "macro"), (MICRO, "micro"))
    ]
    scopes += [
        (f"{which}{metric}", OVERALL, f"{NAMES[metric]}{said}")
        for which, said in (("", ""), ("calibrated_", ", calibrated"))
        for metric in CALIBRATION
    ]
    found = ((name, figures.of(scope, metric).get("")) for metric, scope, name in scopes)
    return [(name, one.value, _interval(one)) for name, one in found if one]


def _interval(figure: Figure) -> str | None:
    return None if figure.low is None else f"{figure.low:.2f}–{figure.high:.2f} ({figure.units})"


def about_intervals(figures: Figures) -> str:
    """What stands in brackets beside the intervals, and which of them rest on few units."""
    few = [
        f"{sum((one.units or 0) < FEW_UNITS for one in own)} of {len(own)} {named}"
        for scope, named in ((CLASS, "classes"), (FOLD, "folds"))
        if (own := list(figures.of(scope).values()))
    ]
    return (
        f"In brackets: the independent clips or groups that the interval rests on. Below {FEW_UNITS} it is rough, here that of "
        f"{' and '.join(few)}."
    )


def class_tables(figures: Figures) -> list[Table]:
    """The same for the report: how classes are ranked, the labels that are given, and averages."""
    return [
        _columns_of(figures, "By class, the worst first", ("lwlrap", "map", "auc"), open=True),
        _columns_of(figures, "Labels from a threshold on", ("f1", "precision", "recall", "threshold")),
        Table("Averages, with 95% intervals", AVERAGE_COLUMNS, average_rows(figures), open=True),
    ]


def _columns_of(figures: Figures, title: str, metrics: Sequence[str], *, open: bool = False) -> Table:
    """A table of some of the columns, the first figure with a bar."""
    wanted = {"class", "positives", *(NAMES[one] for one in metrics), *(f"{NAMES[one]}, 95%" for one in metrics)}
    places = [place for place, column in enumerate(CLASS_COLUMNS) if column in wanted]
    headers = ["95% (units)" if CLASS_COLUMNS[one].endswith("95%") else CLASS_COLUMNS[one] for one in places]
    rows = [[row[one] for one in places] for row in class_rows(figures)]
    bar = headers.index(NAMES[metrics[0]])
    for row in rows:
        value = row[bar]
        row[bar] = Bar(value) if isinstance(value, float) else None
    return Table(title, headers, rows, open=open)


def precision_recall(figures: Figures, found: Predictions) -> Picture | None:
    """Precision against recall of the classes with the lowest average precision, and where their thresholds lie; None
    without positives.

    Folds are pooled, as they are where thresholds are chosen.
    """
    from sklearn.metrics import precision_recall_curve

    thresholds = figures.of(CLASS, "threshold")
    known = [one for one in figures.of(CLASS, "map").values() if one.value is not None]
    worst = sorted(known, key=lambda one: one.value or 0.0)[:SHOWN_CURVES]
    if not worst:
        return None

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        for one, color in zip(worst, CYCLE, strict=False):
            column = found.classes.index(one.key)
            precision, recall, levels = precision_recall_curve(found.truth[:, column], found.probabilities[:, column])
            thinned = np.unique(np.linspace(0, len(recall) - 1, MARKS).astype(int))
            label = f"{shorten(one.key)} ({one.weight})"
            axis.plot(recall[thinned], precision[thinned], color=color, linewidth=1.4, label=label)
            threshold = thresholds.get(one.key)
            if threshold and threshold.value is not None:
                place = int(np.searchsorted(levels, threshold.value))
                axis.plot(recall[place], precision[place], "o", color=color, markersize=5)
        axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axis.set_title("The hardest classes (positives) and their thresholds (dots)")
        axis.figure.legend(loc="outside lower center", ncols=2)

    names = ", ".join(f"{one.key} {one.value:.2f}" for one in worst)
    return draw("Precision and recall", f"Classes with the lowest average precision: {names}.", paint, height=4.4)
