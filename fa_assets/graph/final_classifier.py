"""The classifier of all curated clips, to tag other files with; of several encoders, their blend."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.features import FitOptions, TrainingClips, classifier_origin, training_set
from fa_assets.graph.submission import GROUP
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.calibration import Calibration
from fa_assets.metrics.figures import CLASS, Figures
from fa_assets.models.blend import Blend
from fa_assets.models.classifier_file import FINAL, StoredClassifier, save_classifier
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.store.ledger import StoredFile


def final_classifier_asset(
    scheme: str,
    engines: Sequence[EngineOptions],
    fit: FitOptions,
    folds: Asset,
    embeddings: Sequence[Asset],
    judged: Asset,
) -> Asset:
    """`final_classifier`, of one encoder, or the blend of several, the main one first.

    Args:
        judged: what has the thresholds: the metrics, or of several encoders the asset that says how they are blended.
    """
    main, *others = embeddings
    return Asset(
        "final_classifier",
        GROUP,
        partial(fit_final_classifier, scheme=scheme, engines=engines, fit=fit),
        tables.CLASSIFIER,
        version="4",
        reads={
            "folds": folds,
            "embeddings": main,
            "blend" if len(engines) > 1 else "metrics": judged,
            **{one.name: one for one in others},
        },
        settings={"scheme": scheme, **fit.settings},
        kinds=frozenset({fit.kind, "numpy"}),
    )


def fit_final_classifier(
    work: Work,
    folds: Stored,
    embeddings: Stored,
    metrics: Stored | None = None,
    blend: Stored | None = None,
    *,
    scheme: str,
    engines: Sequence[EngineOptions],
    fit: FitOptions,
    **others: Stored,
) -> Made:
    """The classifier that is used: fitted on the embeddings of all curated clips, with the settings of the out-of-fold
    models. The value has a row per class; the model itself, with its scaler, is `<storage>/classifiers/final.npz`
    (plain arrays), which `fa-assets predict` reads. Each class has a threshold, chosen on all out-of-fold predictions:
    `fa-assets predict --decide` gives the labels that reach it. With FA_BLEND=on there is a model for each encoder, and the
    rows are of the main one's."""
    clips = TrainingClips.of(folds)
    blended = Blend.of(blend.header.details["blend"]) if blend else None
    thresholds, calibration = _judged(metrics, blend, clips.classes)
    models: list[OneVsRest] = []
    files: list[StoredFile] = []
    for engine, own in zip(engines, (embeddings, *others.values()), strict=True):
        with training_set(work, own, clips, engine.card.dimension, fit) as features, work.phase("fit"):
            models.append(features.fit(None, fit, work.track("classes", engine.encoder if others else "")))
        origin = classifier_origin(
            work, None, scheme, engine.encoder, own.encoder_fingerprint, None if engine.prefix else blended
        )
        file = work.root / "classifiers" / f"{engine.prefix}{FINAL}"
        stored = StoredClassifier(models[-1], clips.classes, origin, thresholds, calibration)
        files.append(work.stored(file, save_classifier(file, stored)))
    model = models[0]
    table = pa.table(
        [
            clips.classes,
            model.positives,
            model.iterations,
            model.converged,
            model.trained,
            model.intercept.astype(np.float64),
            np.linalg.norm(model.coef.astype(np.float64), axis=1),
            pa.array(thresholds, from_pandas=True),
        ],
        schema=tables.CLASSIFIER,
    )
    return Made(
        table,
        facts={
            "clips": len(clips.fnames),
            "classes_not_converged": sum(int((one.trained & ~one.converged).sum()) for one in models),
            "classes_untrained": int((~model.trained).sum()),
            "fit": features.way,
            "encoder_fingerprint": embeddings.encoder_fingerprint,
            **({"blend": blended.name, "encoders": " ".join(blended.encoders)} if blended else {}),
        },
        details={"classes": clips.classes},
        files=files,
    )


def _judged(
    metrics: Stored | None, blend: Stored | None, classes: Sequence[str]
) -> tuple[np.ndarray, Calibration | None]:
    """The threshold of each class, float64 (C,), nan where there is none; and what calibrates its probability.

    Thresholds are of the calibrated probability.
    """
    calibration = None
    if blend is not None:
        details = blend.header.details
        thresholds = np.array(details["thresholds"], np.float64)
        if details["calibration"]:
            calibration = Calibration(**{name: np.array(own) for name, own in details["calibration"].items()})
    else:
        assert metrics is not None
        figures = Figures.of_table(metrics.table, classes)
        thresholds = figures.values(CLASS, "threshold")
        if figures.of(CLASS, "platt_scale"):
            calibration = Calibration(figures.values(CLASS, "platt_scale"), figures.values(CLASS, "platt_offset"))
    return calibration.apply(thresholds) if calibration else thresholds, calibration
