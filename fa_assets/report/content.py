"""What the report says: the values of one run, in the order a reader wants them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.metrics.bootstrap import PairedBootstrap, verdict
from fa_assets.metrics.comparison import Comparison, side_by_side
from fa_assets.metrics.confusion import most_confused
from fa_assets.metrics.corrections import Effect
from fa_assets.metrics.figures import CLASS, Figures
from fa_assets.metrics.folds import fold_balance
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.reliability import reliability
from fa_assets.report import comparison as comparison_plots
from fa_assets.report import metrics as metric_plots
from fa_assets.report.clips import durations, fold_balance_picture, label_counts
from fa_assets.report.corrections import corrections_section
from fa_assets.report.embeddings import projection
from fa_assets.report.encoders import SideBySide, encoders_section
from fa_assets.report.learning_curve import learning_curve
from fa_assets.report.origin import behind, environment_table, lineage_table, settings_table
from fa_assets.report.page import Page, Player, Section, Table
from fa_assets.report.picture import Picture
from fa_assets.report.snippets import SECONDS, LocalClip, snippets
from fa_assets.store.ledger import InputVersion, Ledger

log = logging.getLogger(__name__)

PLAYERS = 12
DOUBTS_SHOWN = 50


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Everything the report is made of: the stored values, and where the clips would lie on this machine.

    Attributes:
        schemes: the crop scheme and its baseline.
        clips: the table folds.
        left_out: (file name, reason) of clips that could not be used.
        embeddings: float32 (n, d), the scheme's, in the order of the clips.
        predictions: the scheme's, out of fold.
        figures: the scheme's; `baseline` the baseline's.
        gain: the paired bootstrap of their difference.
        audit: the table label_audit.
        experiments: the table of this name; a section only where it has rows.
        learning_curve: the table of this name, where there is one.
        corrections: the table label_corrections, and the `effects` that go with it.
        encoders: where there are several.
        pictures: whether there are any.
    """

    schemes: tuple[str, str]
    clips: pa.Table
    left_out: Sequence[Sequence[str]]
    embeddings: np.ndarray
    predictions: Predictions
    figures: Figures
    baseline: Figures
    gain: PairedBootstrap
    audit: pa.Table
    encoder: str
    weights_origin: str
    weights_licence: str
    weights_trained: bool
    local_clips: Mapping[str, LocalClip]
    experiments: pa.Table | None = None
    learning_curve: pa.Table | None = None
    corrections: pa.Table | None = None
    effects: Sequence[Effect] = ()
    encoders: SideBySide | None = None
    pictures: bool = True


def page_of(run: Evaluated, *, dataset: str, run_id: str, inputs: Sequence[InputVersion], ledger: Ledger) -> Page:
    """The page of one run; `inputs` are the values that were read for it."""
    result = side_by_side(run.figures, run.baseline, run.gain)
    seconds = np.asarray(run.clips["seconds"])
    entries = behind(ledger, inputs)
    newest = max((entry.finished_at for entry in entries), default=None)
    warnings = []
    if not run.weights_trained:
        warnings.append(
            "The weights are untrained: the figures show that the pipeline works and say nothing about real sound."
            if run.encoders is None
            else f"The weights of {run.encoder}, the main encoder, are untrained: its figures say nothing about real sound."
        )
    if run.left_out:
        warnings.append(f"{len(run.left_out)} clips could not be used and were left out; they are listed under Clips.")
    return Page(
        title=f"Audio tagging report: {dataset}",
        subtitle=f"Run {run_id}"
        + ("" if newest is None else f", values of {newest:%Y-%m-%d %H:%M} UTC or earlier")
        + f"; encoder: {run.encoder}; weights: {run.weights_origin}"
        + f" ({run.weights_licence})" * run.weights_trained,
        answer=verdict(run.gain, *run.schemes),
        figures=[
            *(
                (f"LWLRAP, {name}", f"{value:.4f}")
                for name, value in zip(run.schemes, (result.ours, result.baseline), strict=True)
            ),
            ("difference", f"{run.gain.difference:+z.4f}"),
            ("resamples won", f"{run.gain.share_won:.1%}"),
            ("independent clips or groups", str(run.gain.units)),
            ("clips", str(len(seconds))),
            ("hours", f"{seconds.sum() / 3600:.2f}"),
            ("classes", str(len(run.figures.classes))),
        ],
        warnings=warnings,
        sections=[
            _comparison_section(run, result),
            *([encoders_section(run.encoders, entries)] if run.encoders else []),
            _class_section(run),
            *_experiments_section(run),
            *_curve_section(run),
            _doubt_section(run),
            *(corrections_section(run.corrections, run.effects) if run.corrections is not None else []),
            _clip_section(run, seconds),
            Section(
                "Where the numbers come from",
                "Every materialization behind this page, from the ledger, upstream first. A data version stands for the bytes "
                "of a value; the code version names the settings.",
                tables=[lineage_table(entries), settings_table(entries), environment_table(entries)],
            ),
        ],
    )


def _comparison_section(run: Evaluated, result: Comparison) -> Section:
    per_fold = result.per_fold
    columns = (map(_or_none, one) for one in (per_fold.ours, per_fold.baseline, per_fold.difference))
    return Section(
        f"{run.schemes[0]} against {run.schemes[1]}",
        "Both crop schemes on the same clips, folds and weights. The interval is a paired bootstrap over the clips, "
        "groups and identical clips drawn as one: it says how far the difference depends on which clips there are, not on the "
        "seed or the folds.",
        pictures=_drawn(
            run.pictures,
            lambda: comparison_plots.gain(run.gain, run.schemes),
            lambda: comparison_plots.by_fold(result, run.schemes),
            lambda: comparison_plots.by_class(result, run.schemes),
        ),
        tables=[
            Table("Per fold", ("fold", *run.schemes, "difference"), list(zip(per_fold.keys, *columns, strict=True)))
        ],
    )


def _class_section(run: Evaluated) -> Section:
    found = run.predictions
    rows = sorted(
        zip(
            run.figures.classes,
            map(_or_none, run.figures.values(CLASS)),
            map(_or_none, run.baseline.values(CLASS)),
            map(int, run.figures.weights(CLASS)),
            strict=True,
        ),
        key=lambda row: 2.0 if row[1] is None else row[1],
    )
    return Section(
        "Classes",
        f"LWLRAP (label-weighted label-ranking average precision) of the out-of-fold predictions of {run.schemes[0]}.",
        pictures=_drawn(
            run.pictures,
            lambda: metric_plots.per_class(run.figures),
            lambda: metric_plots.confused_pairs(most_confused(found.truth, found.logits, found.classes)),
            lambda: metric_plots.reliability_diagram(reliability(found.truth, found.probabilities)),
        ),
        tables=[Table("Per class, the worst first", ("class", *run.schemes, "positives"), rows)],
    )


def _clip_section(run: Evaluated, seconds: np.ndarray) -> Section:
    classes, labels = run.figures.classes, run.clips["labels"].to_pylist()
    return Section(
        "Clips",
        pictures=_drawn(
            run.pictures,
            lambda: durations(seconds),
            lambda: label_counts(labels),
            lambda: fold_balance_picture(
                classes, fold_balance(multi_hot(labels, classes), np.asarray(run.clips["fold"]))
            ),
            lambda: projection(run.embeddings, labels),
        ),
        tables=[Table("Left out", ("clip", "reason"), [tuple(one) for one in run.left_out])] if run.left_out else [],
    )


def _experiments_section(run: Evaluated) -> list[Section]:
    rows = [] if run.experiments is None else run.experiments.to_pylist()
    columns = ("variant", "lwlrap", "difference", "low", "high", "share_won")
    table = Table(
        "Against the baseline, with a 95% interval of the difference",
        (*columns, "chosen in folds 0 to 4"),
        [(*(row[name] for name in columns), "; ".join(row["chosen"])) for row in rows],
    )
    text = (
        "Variants of the classifier on the same folds; the default is the baseline. The best row is the maximum of a search "
        "and so too high; in the nested choice no fold has a say in the variant it is judged by."
    )
    return [Section("Other classifiers", text, tables=[table])] if rows else []


def _curve_section(run: Evaluated) -> list[Section]:
    table = run.learning_curve
    if table is None:
        return []
    columns = ("clips_per_class", "clips", "lwlrap", "low", "high")
    rows = [[row[one] or "all" for one in columns] for row in table.to_pylist()]
    return [
        Section(
            "Would more clips help?",
            "LWLRAP of classifiers that were fitted on so many clips of each class and judged on the same folds: the mean, the "
            "lowest and the highest of several draws.",
            pictures=_drawn(run.pictures, lambda: learning_curve(table)),
            tables=[Table("By clips per class", columns, rows)],
        )
    ]


def _doubt_section(run: Evaluated) -> Section:
    rows = run.audit.to_pylist()
    sounds = snippets([run.local_clips[row["fname"]] for row in rows if row["fname"] in run.local_clips], PLAYERS)
    first: dict[str, dict[str, object]] = {}
    for row in rows:
        first.setdefault(row["fname"], row)
    players = [
        Player(
            title=fname,
            text=f"{first[fname]['kind']}: {first[fname]['class_name']} (probability {first[fname]['probability']:.2f}); "
            f"labelled {first[fname]['labels'] or 'nothing'}",
            data_uri=sound,
        )
        for fname, sound in sounds.items()
    ]
    columns = ("rank", "fname", "kind", "class_name", "labels", "probability", "self_confidence", "margin")
    shown = rows[:DOUBTS_SHOWN]
    return Section(
        "Labels to listen to",
        (
            f"The {len(rows)} labels that the out-of-fold model doubts"
            if rows
            else "The out-of-fold model doubts no label"
        )
        + (f", the first {len(shown)} in the table" if len(shown) < len(rows) else "")
        + ". The margin goes from 0 (as sure as the model usually is of such a label) to 1 (certain). Listen before you change "
        "a label: the model may be the one that is wrong."
        + (f" The players have the first {SECONDS:.0f} s of each clip." if players else ""),
        players=players,
        tables=[Table("Most doubted labels", columns, [[row[name] for name in columns] for row in shown])]
        if shown
        else [],
    )


def _drawn(wanted: bool, *painters: Callable[[], Picture | None]) -> list[Picture]:
    """The pictures that are wanted and can be drawn; one that cannot is a warning, not the end of the report."""
    drawn = []
    for paint in painters if wanted else ():
        try:
            picture = paint()
        except Exception as error:
            log.warning("a picture of the report could not be drawn: %s: %s", type(error).__name__, error)
            continue
        if picture is not None:
            drawn.append(picture)
    return drawn


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
