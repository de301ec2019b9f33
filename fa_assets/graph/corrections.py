"""The verdicts of people on labels, and what following them did to the scores."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from functools import partial

import numpy as np
import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import CLIPS_AT_ONCE, GROUP, read_predictions
from fa_assets.graph.features import FitOptions, TrainingClips, training_set
from fa_assets.graph.source import CURATED_RECORDINGS
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.corrections import correcting, in_force
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_labels
from fa_assets.metrics.bootstrap import RESAMPLES, SEED
from fa_assets.metrics.corrections import OWN_LABELS, UNTOUCHED, Effect, effects_of_corrections
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.labels import multi_hot

NAME = "label_corrections"
_SHOWN = 200
_WHEN = ("before", "after")


def label_corrections_asset(
    scheme: str, engine: EngineOptions, fit: FitOptions, embeddings: Asset, predictions: Asset
) -> Asset:
    """`label_corrections`."""
    return Asset(
        NAME,
        GROUP,
        partial(judge_corrections, engine=engine, fit=fit),
        tables.LABEL_CORRECTIONS,
        version="4",
        reads={"recordings": CURATED_RECORDINGS, "embeddings": embeddings, "predictions": predictions},
        settings={"scheme": scheme, **fit.settings, "resamples": RESAMPLES, "seed": SEED},
    )


def judge_corrections(
    work: Work,
    recordings: KaggleDataset,
    embeddings: Stored,
    predictions: Stored,
    *,
    engine: EngineOptions,
    fit: FitOptions,
) -> Made:
    """The verdicts of label_corrections.csv, one row each, in their order: whether each is in force, and whether a label is
    another by it than in train_curated.csv. Where any is, the classifiers are also fitted on the labels as they were given, on
    the same folds and embeddings: LWLRAP before and after, on all clips and on those without a correction. No rows and nothing
    to fit without the file."""
    labelled = read_labels(recordings)
    effects = _effects(work, labelled, embeddings, predictions, engine, fit) if labelled.changes else []
    deciding = {id(one) for one in correcting(labelled.corrections).values()}
    standing = deciding | {id(one) for one in in_force(labelled.corrections).values()}
    changes = set(labelled.changes)
    rows = [
        {
            "fname": one.fname,
            "class_name": one.class_name,
            "verdict": one.verdict,
            "in_force": id(one) in standing,
            "changed": id(one) in deciding and (one.fname, one.class_name, one.verdict) in changes,
            "who": one.who,
            "decided_at": one.when,
            "why": one.why,
        }
        for one in labelled.corrections
    ]
    names = {OWN_LABELS: "", UNTOUCHED: "_untouched"}
    figures = {
        f"lwlrap_{when}{names[one.on]}": getattr(one, when) for one in effects if one.on in names for when in _WHEN
    }
    newest = [row for row in rows if row["in_force"]][-_SHOWN:]
    return Made(
        pa.Table.from_pylist(rows, schema=tables.LABEL_CORRECTIONS),
        facts={
            "verdicts": len(rows),
            "in_force": len(standing),
            "labels_corrected": len(changes),
            **figures,
        },
        display={
            "newest_in_force": records(tables.LABEL_CORRECTIONS.names, newest),
            "effect": records([one.name for one in fields(Effect)], [asdict(one) for one in effects]),
        },
        details={"effects": [asdict(one) for one in effects]},
    )


def _effects(
    work: Work,
    labelled: LabelledClips,
    embeddings: Stored,
    predictions: Stored,
    engine: EngineOptions,
    fit: FitOptions,
) -> Sequence[Effect]:
    """What the corrections did: the predictions, beside those of classifiers that are fitted on the labels as given."""
    found = read_predictions(predictions)
    row_of = {fname: row for row, fname in enumerate(found.fnames)}
    # Of the clips, as the classifiers were fitted.
    order = [row_of[fname] for fname in labelled.fnames if fname in row_of]
    clips = TrainingClips(found.fnames[order], found.fold[order], found.classes, found.truth[order])
    after = found.logits[order]
    # A class that no clip has any more is none.
    labels_of = dict(zip(labelled.fnames, labelled.given or labelled.labels, strict=True))
    labels = [[label for label in labels_of.get(fname, ()) if label in clips.classes] for fname in clips.fnames]
    given = replace(clips, truth=multi_hot(labels, clips.classes))
    before = np.empty_like(after)
    with training_set(work, embeddings, given, engine.card.dimension, fit) as features:
        for fold in range(N_FOLDS):
            with work.phase("fit"):
                model = features.fit(fold, fit, work.track("classes", f"labels as given, fold {fold}"))
            for rows, vectors in features.of_fold(fold, CLIPS_AT_ONCE):
                before[rows] = model.predict(vectors)[0]
    with work.phase("resample"):
        return effects_of_corrections(given.truth, clips.truth, before, after, np.asarray(found.units)[order])
