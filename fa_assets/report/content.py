"""What the report says: the values of one run, in the order a reader wants them."""

from collections.abc import Iterator

import numpy as np

from fa_assets.metrics.bootstrap import FEW_UNITS, verdict
from fa_assets.metrics.comparison import side_by_side
from fa_assets.metrics.folds import fold_balance
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.reliability import reliability
from fa_assets.report import comparison as comparison_plots
from fa_assets.report import metrics as metric_plots
from fa_assets.report.classes import about_intervals, class_tables, precision_recall
from fa_assets.report.clips import durations, fold_balance_picture, label_counts
from fa_assets.report.corrections import corrections_section
from fa_assets.report.encoders import against_baseline, encoders_section
from fa_assets.report.evaluated import Evaluated
from fa_assets.report.learning_curve import learning_curve
from fa_assets.report.listening import listening
from fa_assets.report.origin import environment_table, lineage_table, settings_table
from fa_assets.report.page import Cell, Page, Section, Table
from fa_assets.report.picture import drawn
from fa_assets.report.standing import findings, passed, standing


def page_of(run: Evaluated, *, dataset: str, run_id: str) -> Page:
    """The page of one run."""
    answer, figures = standing(run)
    heard = listening(run)
    return Page(
        title=f"Audio tagging report: {dataset}",
        subtitle=_subtitle(run, run_id),
        answer=answer,
        figures=figures,
        warnings=list(_warnings(run)),
        findings=findings(run.checks),
        passed=passed(run.checks),
        sections=[
            _class_section(run),
            *_test_section(run),
            heard.doubts,
            heard.confusions,
            *(corrections_section(run.corrections, run.effects) if run.corrections is not None else []),
            *([encoders_section(run.encoders, run.entries)] if run.encoders else []),
            *_experiments_section(run),
            *_curve_section(run),
            _comparison_section(run),
            *heard.map,
            _clip_section(run),
            _origin_section(run),
        ],
    )


def _subtitle(run: Evaluated, run_id: str) -> str:
    newest = max((entry.finished_at for entry in run.entries), default=None)
    hours = np.asarray(run.clips["seconds"]).sum() / 3600
    return (
        f"{run.clips.num_rows} clips ({hours:.2f} h), {len(run.figures.classes)} classes, {run.gain.units} independent "
        f"clips or groups with labels. Run {run_id}"
        + ("" if newest is None else f", values of {newest:%Y-%m-%d %H:%M} UTC or earlier")
        + f"; encoder: {run.encoder}; weights: {run.weights_origin}"
        + f" ({run.weights_licence})" * run.weights_trained
        + "."
    )


def _warnings(run: Evaluated) -> Iterator[str]:
    if not run.weights_trained:
        yield (
            "The weights are untrained: the figures show that the pipeline works and say nothing about real sound."
            if run.encoders is None
            else f"The weights of {run.encoder}, the main encoder, are untrained: its figures say nothing about real sound."
        )
    if run.left_out:
        yield f"{len(run.left_out)} clips could not be used and were left out; they are listed under Clips."


def _class_section(run: Evaluated) -> Section:
    found = run.predictions
    return Section(
        "Classes",
        f"Out-of-fold predictions of {run.schemes[0]}. {about_intervals(run.figures)} "
        "F1, precision and recall are of thresholds that were chosen on the other folds.",
        tables=class_tables(run.figures),
        pictures=drawn(
            run.pictures,
            lambda: precision_recall(run.figures, found),
            lambda: metric_plots.reliability_diagram(reliability(found.truth, found.probabilities)),
        ),
    )


_CURATED, _OUT_OF_FOLD = "curated", "out_of_fold"
"""Scope and model of the rows in `test_metrics` that are of the curated clips."""


def _test_section(run: Evaluated) -> list[Section]:
    if run.test is None or not run.test.num_rows:
        return []
    found = {(row["metric"], row["scope"], row["model"]): row for row in run.test.to_pylist()}
    models = list(dict.fromkeys(model for *_, model in found))
    rows: list[list[Cell]] = []
    for metric, scope in dict.fromkeys((metric, scope) for metric, scope, _ in found if scope != _CURATED):
        of = [found.get((metric, _CURATED if model == _OUT_OF_FOLD else scope, model)) for model in models]
        tested = next(row for model, row in zip(models, of, strict=True) if row and model != _OUT_OF_FOLD)
        interval = (
            "" if tested["low"] is None else f"{tested['low']:.4f} to {tested['high']:.4f} ({tested.get('units')})"
        )
        values = [None if row is None else row["value"] for row in of]
        rows.append([metric, scope, tested["clips"], *values, interval])
    columns = ["figure", "scope", "clips", *models, "95% interval of the first (units)"]
    text = (
        "Models: final is the classifier of all clips, fold_mean the mean of those of the folds; out_of_fold are the figures "
        "of all curated clips, for comparison; of these, map and precision_at_recall are higher by themselves, since folds are "
        "small (docs/evaluation.md). In brackets: the independent clips or recordings that an interval rests on; below "
        f"{FEW_UNITS} it is rough."
    )
    return [Section("Test set", text, tables=[Table("On the test clips whose labels are known", columns, rows)])]


def _experiments_section(run: Evaluated) -> list[Section]:
    rows = [] if run.experiments is None else run.experiments.to_pylist()
    table = against_baseline("variant", rows)
    text = (
        "Variants of the classifier on the same folds; the default is the baseline. Intervals hold for all variants at once; "
        f"on fewer than {FEW_UNITS} units (independent clips or groups) they are rough. "
        "The best row is the maximum of a search and so too high; in the nested choice no fold has a say in the variant it is "
        "judged by."
    )
    return [Section("Other classifiers", text, tables=[table])] if rows else []


def _curve_section(run: Evaluated) -> list[Section]:
    table = run.learning_curve
    if table is None:
        return []
    columns = ("clips_per_class", "clips", "lwlrap", "lowest", "highest")
    rows = [[row[one] or "all" for one in columns] for row in table.to_pylist()]
    return [
        Section(
            "Would more clips help?",
            "LWLRAP of classifiers that were fitted on so many clips of each class and judged on the same folds: the mean, the "
            "lowest and the highest of several draws. Sizes that no class has more clips than are left out.",
            pictures=drawn(run.pictures, lambda: learning_curve(table)),
            tables=[Table("By clips per class", columns, rows)],
        )
    ]


def _comparison_section(run: Evaluated) -> Section:
    result = side_by_side(run.figures, run.baseline, run.gain)
    per_fold = result.per_fold
    columns = (map(_or_none, one) for one in (per_fold.ours, per_fold.baseline, per_fold.difference))
    return Section(
        f"{run.schemes[0]} against {run.schemes[1]}",
        f"{verdict(run.gain, *run.schemes)} Both crop schemes on the same clips, folds and weights. The interval is a paired "
        "bootstrap over the clips, groups and identical clips drawn as one: it says how far the difference depends on which "
        "clips there are, not on the seed or the folds.",
        pictures=drawn(
            run.pictures,
            lambda: comparison_plots.gain(run.gain, run.schemes),
            lambda: comparison_plots.by_fold(result, run.schemes),
            lambda: comparison_plots.by_class(result, run.schemes),
        ),
        tables=[
            Table("Per fold", ("fold", *run.schemes, "difference"), list(zip(per_fold.keys, *columns, strict=True)))
        ],
    )


def _clip_section(run: Evaluated) -> Section:
    seconds = np.asarray(run.clips["seconds"])
    classes, labels = run.figures.classes, run.clips["labels"].to_pylist()
    return Section(
        "Clips",
        pictures=drawn(
            run.pictures,
            lambda: durations(seconds),
            lambda: label_counts(labels),
            lambda: fold_balance_picture(
                classes, fold_balance(multi_hot(labels, classes), np.asarray(run.clips["fold"]))
            ),
        ),
        tables=[Table("Left out", ("clip", "reason"), [tuple(one) for one in run.left_out])] if run.left_out else [],
    )


def _origin_section(run: Evaluated) -> Section:
    return Section(
        "Settings and provenance",
        "Every materialization behind this page, from the ledger, upstream first. A data version stands for the bytes "
        f"of a value; the code version names the settings. On paper the {len(run.entries)} materializations and the "
        "environment are left out.",
        tables=[settings_table(run.entries), environment_table(run.entries), lineage_table(run.entries)],
        folded=True,
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
