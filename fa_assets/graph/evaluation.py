"""Out-of-fold predictions and the metrics of one crop scheme."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.errors import UserError
from fa_assets.graph import clip_tables, tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import or_none, records
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.features import FitOptions, TrainingClips, TrainingSet, classifier_origin, training_set
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.calibration import fit_calibration, nested_calibration
from fa_assets.metrics.chance import lwlrap_without_knowledge
from fa_assets.metrics.confusion import most_confused
from fa_assets.metrics.figures import (
    CALIBRATION,
    FOLD,
    METRICS,
    MICRO,
    OVERALL,
    Figure,
    Figures,
    class_figures,
    figures_table,
)
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.label_ranks import label_ranks
from fa_assets.metrics.lwlrap import lowest_lwlrap, lwlrap_sums
from fa_assets.metrics.predictions import Predictions, name_column, predictions_of
from fa_assets.metrics.reliability import reliability
from fa_assets.metrics.thresholds import choose_thresholds, nested_decisions, parse_rule
from fa_assets.models.classifier_file import StoredClassifier, save_classifier
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.report.classes import (
    AVERAGE_COLUMNS,
    CLASSWISE,
    CLIPWISE,
    about_intervals,
    average_rows,
    class_rows,
)
from fa_assets.report.ranks import beside_metrics, write_ranks
from fa_assets.store.embedding_store import list_column
from fa_assets.store.ledger import MetricRow, StoredFile
from fa_assets.store.values import TableStream, Value

GROUP = "evaluation"
CLIPS_AT_ONCE = 4096
"""Clips that are predicted and written at a time."""
_CLASSIFIER_COLUMNS = ("fold", "class_name", "positives", "iterations", "converged", "trained")
_SHOWN = ("class", "n", "LWLRAP", "95% (units)")
"""The first of `CLASS_COLUMNS`: Dagster has no place for more. The report and `fa-assets metrics` have all."""


@dataclass(frozen=True)
class ProbabilityOptions:
    """What is made of probabilities: FA_THRESHOLD_RULE, and whether FA_CALIBRATION is platt. Values depend on both."""

    threshold_rule: str
    calibrate: bool

    def __post_init__(self) -> None:
        """Raise a UserError where there is no such rule."""
        parse_rule(self.threshold_rule)

    @property
    def precision(self) -> float | None:
        """See `parse_rule`."""
        return parse_rule(self.threshold_rule)


def predictions_asset(scheme: str, engine: EngineOptions, fit: FitOptions, folds: Asset, embeddings: Asset) -> Asset:
    """`<scheme>_oof_predictions`."""
    return Asset(
        f"{engine.prefix}{scheme}_oof_predictions",
        GROUP,
        partial(oof_predictions, scheme=scheme, engine=engine, fit=fit),
        tables.PREDICTIONS,
        version="7",
        reads={"folds": folds, "embeddings": embeddings},
        settings=fit.settings,
        kinds=frozenset({fit.kind, "parquet"}),
        description="Out-of-fold logits and probabilities, one row per clip, from standardised one-vs-rest "
        f"logistic regressions ({fit.classifier}, C={fit.C:g}, at most {fit.max_iter} iterations) fitted on "
        f"{embeddings.name} of the other folds. Each fold's model is kept beside them, in `<storage>/classifiers/`.",
    )


def metrics_asset(scheme: str, predictions: Asset, probability: ProbabilityOptions) -> Asset:
    """`<scheme>_metrics`.

    Args:
        scheme: with the prefix of the encoder, as ``birdnet/mc5``: so the ledger and the catalog call it.
        probability: what is made of probabilities.
    """
    return Asset(
        f"{scheme}_metrics",
        GROUP,
        partial(metrics, scheme=scheme, probability=probability),
        tables.METRICS,
        version="11",
        reads={"predictions": predictions},
        settings={"scheme": scheme, **asdict(probability)},
        description=f"How good {predictions.name} are, overall, per fold and per class, with 95% intervals over clips (groups "
        "and copies as one): LWLRAP (label-weighted label-ranking average precision; also per clip), average precision, ROC "
        "AUC, d', precision at a recall of 0.8; F1, precision and recall of the labels that are given from a threshold on, "
        "which is chosen on the other folds (FA_THRESHOLD_RULE); coverage error and one-error; Brier score and calibration "
        "errors of the probabilities. LWLRAP's lowest possible value "
        "depends on the labels and is `lwlrap_lowest`. What they mean: docs/evaluation.md.",
    )


def oof_predictions(
    work: Work, folds: Stored, embeddings: Stored, *, scheme: str, engine: EngineOptions, fit: FitOptions
) -> Iterator[Made]:
    """Fit on four folds, predict the fifth, five times; see the description of the asset."""
    clips, units = TrainingClips.of(folds), clip_tables.units(folds.table)
    sha256 = np.array(folds.table["sha256"].to_pylist(), dtype=object)
    with training_set(work, embeddings, clips, engine.card.dimension, fit) as features:
        models: list[OneVsRest] = []
        files: list[StoredFile] = []
        for fold in range(N_FOLDS):
            with work.phase("fit"):
                models.append(features.fit(fold, fit, work.track("classes", f"fold {fold}")))
            origin = classifier_origin(work, str(fold), scheme, engine.encoder, embeddings.encoder_fingerprint)
            file = work.root / "classifiers" / f"{engine.prefix}{scheme}_fold_{fold}.npz"
            files.append(work.stored(file, save_classifier(file, StoredClassifier(models[-1], clips.classes, origin))))
        fitted = [row for fold, model in enumerate(models) for row in _per_class(fold, clips.classes, model)]
        _warn(work, fitted)
        iterations = np.concatenate([model.iterations for model in models])
        yield Made(  # within: the parts are predicted from the training set as they are written
            TableStream(tables.PREDICTIONS, len(clips.fnames), _parts(work, features, models, clips, units, sha256)),
            facts={
                "clips": len(clips.fnames),
                "classes": len(clips.classes),
                "iterations_median": float(np.median(iterations)),
                "iterations_max": int(iterations.max()),
                "classes_not_converged": sum(row[5] and not row[4] for row in fitted),
                "classes_untrained": sum(not row[5] for row in fitted),
                "fit": features.way,
            },
            display={
                "classifiers": records((*_CLASSIFIER_COLUMNS[:4], "fit"), [(*row[:4], _state(row)) for row in fitted])
            },
            details={
                "classes": clips.classes,
                "classifiers": [dict(zip(_CLASSIFIER_COLUMNS, row, strict=True)) for row in fitted],
            },
            files=files,
        )


def metrics(work: Work, predictions: Stored, *, scheme: str, probability: ProbabilityOptions) -> Made:
    """The figures of every metric; see the description of the asset."""
    from fa_assets.report import metrics as plots

    found = read_predictions(predictions)
    with work.phase("rank"):
        given = found.truth, found.probabilities
        rule = probability.precision, probability.calibrate
        judged = replace(found, decided=nested_decisions(*given, found.fold, *rule))
        rows = [row for metric in METRICS.values() for row in metric(judged)]
        thresholds = choose_thresholds(*given, *rule)
        rows += class_figures("threshold", found, thresholds)
        if probability.calibrate:
            calibration = fit_calibration(*given)
            rows += class_figures("calibrated_threshold", found, calibration.apply(thresholds))
            rows += class_figures("platt_scale", found, calibration.scale)
            rows += class_figures("platt_offset", found, calibration.offset)
            nested = nested_calibration(*given, found.fold)
            of_nested = METRICS["calibration"](replace(found, probabilities=nested))
            rows += [replace(one, metric=f"calibrated_{one.metric}") for one in of_nested]
        figures = Figures(rows, found.classes)
        ranks = label_ranks(found)
        by_fold = (found.fold == fold for fold in range(N_FOLDS))
        sums = [lwlrap_sums(found.truth[own], found.logits[own]) for own in by_fold]
        pairs = most_confused(found.truth, found.logits, found.classes)
    drawn = work.draw(
        {
            "lwlrap_per_class": partial(plots.per_class, figures),
            "confused_classes": partial(plots.confused_pairs, pairs),
            "reliability": partial(plots.reliability_diagram, reliability(found.truth, found.probabilities)),
        }
    )
    file = beside_metrics(work.root, work.asset, work.run_id)
    return Made(
        figures_table(rows, tables.METRICS),
        facts={
            "lwlrap": figures.overall(),
            "lwlrap_lowest": or_none(lowest_lwlrap(found.truth)),
            **{f"lwlrap_fold_{fold}": one.value for fold, one in figures.of(FOLD).items()},
            **{one: figures.overall(one) for one in (*CLASSWISE, *CLIPWISE[1:])},
            **{f"{one}_micro": figures.of(MICRO, one)[""].value for one in ("map", "auc", "f1")},
            "positives": int(found.truth.sum()),
            "tied_positives": sum(one.tied for one in sums),
            "classes_without_positives": int((~found.truth.any(axis=0)).sum()),
            **{one.metric: one.value for one in rows if one.scope == OVERALL and one.metric.endswith(CALIBRATION)},
        },
        display={
            **drawn,
            "per_class": records(_SHOWN, [row[: len(_SHOWN)] for row in class_rows(figures)]),
            "averages": records(AVERAGE_COLUMNS, average_rows(figures)),
            "intervals": dg.MetadataValue.text(about_intervals(figures)),
        },
        details={"classes": found.classes, "lwlrap_without_knowledge": lwlrap_without_knowledge(found.truth)},
        metrics=[
            MetricRow(scheme, fold, name, float(total), int(count))
            for fold, one in enumerate(sums)
            for name, total, count in zip(found.classes, one.precision_sum, one.count, strict=True)
        ],
        files=[work.stored(file, write_ranks(file, ranks))],
    )


def read_predictions(predictions: Stored | Value) -> Predictions:
    """A scheme's out-of-fold predictions as matrices.

    Raises:
        UserError: a version made them that did not know the clips' units and digests.
    """
    found = predictions_of(predictions.table, predictions.header.details["classes"])
    if found.units is None or found.sha256 is None:
        raise UserError(f"{predictions.header.asset} was made by an older fa_assets: materialize it again.")
    return found


def averages(predictions: Predictions) -> Iterator[tuple[str, Figure]]:
    """The figures over all clips and classes, macro and micro, by their names; those that there are."""
    for metric in METRICS.values():
        for one in metric(predictions):
            if one.scope in (OVERALL, MICRO) and one.value is not None:
                yield one.metric + "_micro" * (one.scope == MICRO), one


def out_of_fold_figures(predictions: Predictions) -> dict[str, float | None]:
    """Those that a test set is scored by."""
    return {name: one.value for name, one in averages(replace(predictions, units=None))}  # without intervals


def _parts(
    work: Work,
    features: TrainingSet,
    models: Sequence[OneVsRest],
    clips: TrainingClips,
    units: np.ndarray,
    sha256: np.ndarray,
) -> Iterator[pa.Table]:
    """The table of predictions, fold after fold."""
    for fold, model in enumerate(models):
        for rows, embeddings in features.of_fold(fold, CLIPS_AT_ONCE):
            with work.phase("predict"):
                logits, probabilities = model.predict(embeddings)
            columns = [
                clips.fnames[rows],
                np.full(len(rows), fold, np.int8),
                units[rows].astype(np.int32),
                sha256[rows],
            ]
            matrices = (clips.truth[rows], logits, probabilities)
            lists = [name_column(clips.classes, len(rows)), *map(list_column, matrices)]
            yield pa.table([*map(pa.array, columns), *lists], schema=tables.PREDICTIONS)


def _per_class(fold: int, classes: Sequence[str], model: OneVsRest) -> list[tuple[int, str, int, int, bool, bool]]:
    """What the fit of a fold says of each class, in `_CLASSIFIER_COLUMNS`."""
    columns = (model.positives, model.iterations, model.converged, model.trained)
    return [(fold, name, *own) for name, *own in zip(classes, *(one.tolist() for one in columns), strict=True)]


def _state(row: tuple[int, str, int, int, bool, bool]) -> str:
    return "untrained" if not row[5] else "converged" if row[4] else "stopped"


def _warn(work: Work, fitted: Sequence[tuple[int, str, int, int, bool, bool]]) -> None:
    for fold in range(N_FOLDS):
        untrained = [row[1] for row in fitted if row[0] == fold and not row[5]]
        unconverged = [row[1] for row in fitted if row[0] == fold and row[5] and not row[4]]
        for message, names in (("no positives or no negatives", untrained), ("not converged", unconverged)):
            if names:
                work.log.warning(f"fold {fold}, {message} among the other folds: {', '.join(names)}")
