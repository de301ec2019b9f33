"""What the report says: the values of one run, in the order a reader wants them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.metrics.bootstrap import paired_bootstrap, verdict
from fa_assets.metrics.comparison import compare
from fa_assets.metrics.confusion import most_confused
from fa_assets.metrics.folds import fold_balance
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import LwlrapSums
from fa_assets.metrics.metric_table import sums_of, total_of
from fa_assets.metrics.prediction_table import Predictions
from fa_assets.metrics.reliability import reliability
from fa_assets.report import comparison as comparison_plots
from fa_assets.report import metrics as metric_plots
from fa_assets.report.clips import durations, fold_balance_picture, label_counts
from fa_assets.report.embeddings import projection
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
        clips: the table curated_clips.
        left_out: (file name, reason) of clips that could not be used.
        fold_of: int (n,), the fold of each clip.
        embeddings: float32 (n, d), MC5's, in the order of the clips.
        mc5, center: out-of-fold predictions of both schemes.
        mc5_metrics, center_metrics, audit: the tables of these names.
        resamples, seed: of the paired bootstrap, as in the comparison.
        experiments: the table of this name; a section only where it has rows.
        pictures: whether there are any.
    """

    clips: pa.Table
    left_out: Sequence[Sequence[str]]
    fold_of: np.ndarray
    embeddings: np.ndarray
    mc5: Predictions
    center: Predictions
    mc5_metrics: pa.Table
    center_metrics: pa.Table
    audit: pa.Table
    encoder: str
    weights_origin: str
    weights_trained: bool
    local_clips: Mapping[str, LocalClip]
    resamples: int
    seed: int
    experiments: pa.Table | None = None
    pictures: bool = True


def page_of(run: Evaluated, *, dataset: str, run_id: str, inputs: Sequence[InputVersion], ledger: Ledger) -> Page:
    """The page of one run; `inputs` are the values that were read for it."""
    classes, mc5_sums = sums_of(run.mc5_metrics)
    _, center_sums = sums_of(run.center_metrics)
    mc5, center = total_of(mc5_sums), total_of(center_sums)
    gain = paired_bootstrap(run.mc5.truth, run.mc5.logits, run.center.logits, run.resamples, run.seed)
    result = compare(mc5_sums, center_sums)
    seconds = np.asarray(run.clips["seconds"])
    entries = behind(ledger, inputs)
    newest = max((entry.finished_at for entry in entries), default=None)
    pairs = most_confused(run.mc5.truth, run.mc5.logits, run.mc5.classes)
    warnings = []
    if not run.weights_trained:
        warnings.append(
            "The weights are untrained: the figures show that the pipeline works and say nothing about real sound."
        )
    if run.left_out:
        warnings.append(f"{len(run.left_out)} clips could not be used and were left out; they are listed under Clips.")
    return Page(
        title=f"Audio tagging report: {dataset}",
        subtitle=f"Run {run_id}"
        + ("" if newest is None else f", values of {newest:%Y-%m-%d %H:%M} UTC or earlier")
        + f"; encoder: {run.encoder}; weights: {run.weights_origin}",
        answer=verdict(gain, "MC5", "the centre crop"),
        figures=[
            ("LWLRAP, MC5", f"{mc5.overall:.4f}"),
            ("LWLRAP, centre crop", f"{center.overall:.4f}"),
            ("difference", f"{gain.difference:+z.4f}"),
            ("resamples won", f"{gain.share_won:.1%}"),
            ("clips", str(len(seconds))),
            ("hours", f"{seconds.sum() / 3600:.2f}"),
            ("classes", str(len(classes))),
        ],
        warnings=warnings,
        sections=[
            Section(
                "MC5 against the centre crop",
                "Both on the same clips, folds and weights. The interval is a paired bootstrap over the clips: it says how far "
                "the difference depends on which clips there are, not on the seed or the folds.",
                pictures=_drawn(
                    run.pictures,
                    lambda: comparison_plots.gain(gain),
                    lambda: comparison_plots.by_fold(result),
                    lambda: comparison_plots.by_class(result, classes),
                ),
                tables=[
                    Table(
                        "Per fold",
                        ("fold", "MC5", "centre", "difference"),
                        [
                            (fold, *map(_or_none, values))
                            for fold, *values in zip(
                                result.folds,
                                result.per_fold.ours,
                                result.per_fold.baseline,
                                result.per_fold.difference,
                                strict=True,
                            )
                        ],
                    )
                ],
            ),
            Section(
                "Classes",
                "LWLRAP (label-weighted label-ranking average precision) of the out-of-fold predictions of MC5.",
                pictures=_drawn(
                    run.pictures,
                    lambda: metric_plots.per_class(run.mc5.classes, mc5),
                    lambda: metric_plots.confused_pairs(pairs),
                    lambda: metric_plots.reliability_diagram(reliability(run.mc5.truth, run.mc5.probabilities)),
                ),
                tables=[_class_table(classes, mc5, center)],
            ),
            *_experiments_section(run),
            _doubt_section(run),
            Section(
                "Clips",
                pictures=_drawn(
                    run.pictures,
                    lambda: durations(seconds),
                    lambda: label_counts(run.clips["labels"].to_pylist()),
                    lambda: fold_balance_picture(
                        classes, fold_balance(multi_hot(run.clips["labels"].to_pylist(), classes), run.fold_of)
                    ),
                    lambda: projection(run.embeddings, run.clips["labels"].to_pylist()),
                ),
                tables=[Table("Left out", ("clip", "reason"), [tuple(one) for one in run.left_out])]
                if run.left_out
                else [],
            ),
            Section(
                "Where the numbers come from",
                "Every materialization behind this page, from the ledger, upstream first. A data version stands for the bytes "
                "of a value; the code version names the settings.",
                tables=[lineage_table(entries), settings_table(entries), environment_table(entries)],
            ),
        ],
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
        "and flatters; in the nested choice no fold has a say in the variant it is judged by."
    )
    return [Section("Other classifiers", text, tables=[table])] if rows else []


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


def _class_table(classes: Sequence[str], mc5: LwlrapSums, center: LwlrapSums) -> Table:
    rows = sorted(
        zip(classes, map(_or_none, mc5.per_class), map(_or_none, center.per_class), map(int, mc5.count), strict=True),
        key=lambda row: 2.0 if row[1] is None else row[1],
    )
    return Table("Per class, the worst first", ("class", "MC5", "centre", "positives"), rows)


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
