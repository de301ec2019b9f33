"""The columns of the stored tables, said once: the Arrow schemas the assets write and the UI shows.

With each column goes what it is made of: columns of other assets, ``{scheme}`` standing for the crop scheme and
``{encoder}`` for the encoder.
"""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa


def _column(name: str, type: pa.DataType, doc: str, made_of: str = "") -> pa.Field:
    """A field with its description, and the columns of other assets that it is made of (``asset.column asset.column``)."""
    return pa.field(name, type, metadata={"doc": doc, "from": made_of})


VOCABULARY = pa.schema(
    [
        _column(
            "position", pa.int32(), "column of the class in every label and score matrix", "curated_recordings.labels"
        ),
        _column("class_name", pa.string(), "as in sample_submission.csv", "curated_recordings.labels"),
    ]
)

CLIPS = pa.schema(
    [
        _column("fname", pa.string(), "file name in the folder of clips", "curated_recordings.fname"),
        _column("labels", pa.list_(pa.string()), "the clip's classes", "curated_recordings.labels"),
        _column("sample_rate", pa.int32(), "of the file, Hz", "curated_recordings.audio"),
        _column("channels", pa.int32(), "of the file", "curated_recordings.audio"),
        _column("frames", pa.int64(), "samples per channel, as decoded", "curated_recordings.audio"),
        _column("seconds", pa.float64(), "frames / sample_rate", "curated_recordings.audio"),
        _column("sha256", pa.string(), "of the file's bytes", "curated_recordings.audio"),
        _column("group", pa.string(), "recording, uploader or site: stays in one fold", "curated_recordings.labels"),
        _column("peak", pa.float64(), "largest absolute sample, 1 is full scale", "curated_recordings.audio"),
        _column("rms", pa.float64(), "root of the mean square", "curated_recordings.audio"),
        _column("clipped_share", pa.float64(), "part of the samples at full scale", "curated_recordings.audio"),
    ]
)

FOLDS = pa.schema(
    [
        _column("fname", pa.string(), "in the order of the label CSV", "curated_clips.fname"),
        _column(
            "fold", pa.int8(), "the fold the clip is held out in", "curated_clips.labels class_vocabulary.class_name"
        ),
        _column("sha256", pa.string(), "of the clip's bytes: renamed, it keeps its fold", "curated_clips.sha256"),
    ]
)

CHECKPOINT = pa.schema(
    [
        _column("path", pa.string(), "where the weights lie"),
        _column("size_bytes", pa.int64(), "of the file"),
        _column("sha1", pa.string(), "of the file's bytes"),
        _column("origin", pa.string(), "where the file came from"),
        _column("trained", pa.bool_(), "false for the seeded demo weights"),
    ]
)

EMBEDDINGS = pa.schema(
    [
        _column(
            "fname", pa.string(), "the fold's clips, in the order of the label CSV", "curated_clips.fname folds.fold"
        ),
        _column(
            "embedding",
            pa.list_(pa.float32()),
            "the encoder's embedding, mean over crops",
            "curated_clips.sha256 {encoder}_checkpoint.sha1",
        ),
    ]
)

PREDICTIONS = pa.schema(
    [
        _column("fname", pa.string(), "the fold's clips, in the order of the label CSV", "{scheme}_embeddings.fname"),
        _column(
            "class_name", pa.string(), "every class, in vocabulary order, for each clip", "class_vocabulary.class_name"
        ),
        _column("truth", pa.bool_(), "whether the clip has the label", "curated_clips.labels"),
        _column(
            "logit",
            pa.float64(),
            "of the model fitted on the other folds",
            "{scheme}_embeddings.embedding curated_clips.labels folds.fold",
        ),
        _column(
            "probability",
            pa.float64(),
            "1 / (1 + exp(-logit))",
            "{scheme}_embeddings.embedding curated_clips.labels folds.fold",
        ),
    ]
)

METRICS = pa.schema(
    [
        _column("fold", pa.int8(), "the fold the positives were held out in", "{scheme}_oof_predictions.fname"),
        _column(
            "class_name",
            pa.string(),
            "every class, in vocabulary order, for each fold",
            "{scheme}_oof_predictions.class_name",
        ),
        _column(
            "precision_sum",
            pa.float64(),
            "sum of label-ranking precisions of the positives",
            "{scheme}_oof_predictions.truth {scheme}_oof_predictions.logit",
        ),
        _column(
            "count",
            pa.int64(),
            "positives; any LWLRAP is sum(precision_sum) / sum(count)",
            "{scheme}_oof_predictions.truth",
        ),
        _column(
            "lwlrap",
            pa.float64(),
            "precision_sum / count, null without positives",
            "{scheme}_oof_predictions.truth {scheme}_oof_predictions.logit",
        ),
    ]
)

COMPARISON = pa.schema(
    [
        _column("scope", pa.string(), "overall, fold or class"),
        _column("name", pa.string(), "fold number or class name", "mc5_metrics.fold mc5_metrics.class_name"),
        _column("mc5", pa.float64(), "LWLRAP of the five-crop mean", "mc5_metrics.precision_sum mc5_metrics.count"),
        _column(
            "center", pa.float64(), "LWLRAP of the centre crop", "center_metrics.precision_sum center_metrics.count"
        ),
        _column(
            "difference",
            pa.float64(),
            "mc5 - center",
            "mc5_metrics.precision_sum mc5_metrics.count center_metrics.precision_sum center_metrics.count",
        ),
    ]
)

LABEL_AUDIT = pa.schema(
    [
        _column("rank", pa.int32(), "1 is the most doubted", "mc5_oof_predictions.probability"),
        _column("fname", pa.string(), "the clip", "mc5_oof_predictions.fname"),
        _column("class_name", pa.string(), "the class in question", "mc5_oof_predictions.class_name"),
        _column("kind", pa.string(), "missing label or wrong label", "mc5_oof_predictions.truth"),
        _column("labels", pa.string(), "the clip's classes as they are given", "curated_clips.labels"),
        _column("fold", pa.int8(), "the fold the clip was held out in", "mc5_oof_predictions.fname"),
        _column("probability", pa.float64(), "of the class, out of fold", "mc5_oof_predictions.probability"),
        _column(
            "self_confidence",
            pa.float64(),
            "probability of the label as it is given",
            "mc5_oof_predictions.probability mc5_oof_predictions.truth",
        ),
        _column(
            "threshold",
            pa.float64(),
            "mean probability of the opposite answer where it is the given one",
            "mc5_oof_predictions.probability mc5_oof_predictions.truth",
        ),
        _column(
            "margin",
            pa.float64(),
            "of the opposite answer's probability above the threshold; 1 is certain",
            "mc5_oof_predictions.probability mc5_oof_predictions.truth",
        ),
    ]
)

TEST_CLIPS = pa.schema(
    [
        _column(
            "fname", pa.string(), "file name in test/, in the order of sample_submission.csv", "test_recordings.fname"
        ),
        _column("labels", pa.list_(pa.string()), "from test.csv, null where not known", "test_recordings.labels"),
        _column(
            "usage",
            pa.string(),
            "from test.csv: Public or Private, empty where there is none",
            "test_recordings.usage",
        ),
        *(
            _column(name, CLIPS.field(name).type, CLIPS.field(name).metadata[b"doc"].decode(), "test_recordings.audio")
            for name in ("sample_rate", "channels", "frames", "seconds", "sha256")
        ),
    ]
)

TEST_EMBEDDINGS = pa.schema(
    [
        _column("fname", pa.string(), "the shard's test clips: every fifth row of test_clips", "test_clips.fname"),
        _column("embedding", pa.list_(pa.float32()), "the encoder's embedding, mean over crops", "test_clips.sha256"),
    ]
)

CLASSIFIER = pa.schema(
    [
        _column("class_name", pa.string(), "every class, in vocabulary order", "class_vocabulary.class_name"),
        _column("positives", pa.int64(), "clips that carry it", "curated_clips.labels"),
        _column("iterations", pa.int64(), "of L-BFGS", "mc5_embeddings.embedding curated_clips.labels"),
        _column("converged", pa.bool_(), "whether the solver stopped by itself"),
        _column("trained", pa.bool_(), "false without positives or without negatives", "curated_clips.labels"),
        _column(
            "intercept",
            pa.float64(),
            "the log-odds of a clip with average features",
            "mc5_embeddings.embedding curated_clips.labels",
        ),
        _column(
            "coefficient_norm",
            pa.float64(),
            "Euclidean norm of the coefficients, per standard deviation of the features",
            "mc5_embeddings.embedding curated_clips.labels",
        ),
    ]
)

SUBMISSION = pa.schema(
    [
        _column("model", pa.string(), "final (of all clips) or fold_mean (mean of the fold models)"),
        _column("fname", pa.string(), "the test clips, in the order of test_clips", "test_clips.fname"),
        _column(
            "class_name",
            pa.string(),
            "every class, in vocabulary order, for each clip",
            "class_vocabulary.class_name",
        ),
        _column("probability", pa.float64(), "as in the submission file, 0 to 1", "test_mc5_embeddings.embedding"),
    ]
)

TEST_METRICS = pa.schema(
    [
        _column("model", pa.string(), "final, fold_mean, or out_of_fold on the curated clips", "submission.model"),
        _column("scope", pa.string(), "all, a usage (Public, Private), or curated", "test_clips.usage"),
        _column("clips", pa.int64(), "with labels", "test_clips.labels"),
        _column(
            "lwlrap",
            pa.float64(),
            "label-weighted label-ranking average precision",
            "submission.probability test_clips.labels",
        ),
        _column(
            "map",
            pa.float64(),
            "mean over classes with positives of average precision",
            "submission.probability test_clips.labels",
        ),
    ]
)

_EXPERIMENT = "mc5_embeddings.embedding curated_clips.labels folds.fold"

EXPERIMENTS = pa.schema(
    [
        _column("variant", pa.string(), "what differs from the baseline, or the nested choice in each fold"),
        _column("C", pa.float64(), "inverse strength of the penalty; null for the nested choice, as all settings"),
        _column("tol", pa.float64(), "tolerance of the solver"),
        _column("weights", pa.string(), "of positives and negatives: none, balanced"),
        _column("norm", pa.string(), "of the features: standardise, l2, none"),
        _column("pool", pa.string(), "over a clip's crops: mean, max, mean+max"),
        _column("crops", pa.int8(), "how many crops of a clip"),
        _column("lwlrap", pa.float64(), "out of fold", _EXPERIMENT),
        _column("difference", pa.float64(), "to the baseline's LWLRAP", _EXPERIMENT),
        _column("low", pa.float64(), "lower end of its 95% interval (paired bootstrap over clips)", _EXPERIMENT),
        _column("high", pa.float64(), "upper end", _EXPERIMENT),
        _column("share_won", pa.float64(), "share of the resamples in which it beats the baseline", _EXPERIMENT),
        _column("lwlrap_per_fold", pa.list_(pa.float64()), "of each fold, in order", _EXPERIMENT),
        _column("selected", pa.bool_(), "whether the nested choice took it in some fold", _EXPERIMENT),
        _column("selected_in", pa.list_(pa.int8()), "the folds in which it did", _EXPERIMENT),
        _column(
            "chosen", pa.list_(pa.string()), "of the nested choice: the variant of each fold, in order", _EXPERIMENT
        ),
    ]
)

FILES = pa.schema(
    [
        _column("path", pa.string(), "relative to the storage folder"),
        _column("size_bytes", pa.int64(), "of the file"),
        _column("sha256", pa.string(), "of the file's bytes"),
    ]
)


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description=(field.metadata or {}).get(b"doc", b"").decode() or None,
            )
            for field in schema
        ]
    )


def column_lineage(schema: pa.Schema, *, scheme: str = "", encoder: str = "", **sources: str) -> dg.TableColumnLineage:
    """Which columns of other assets each column is made of.

    Args:
        schema: its fields' ``from``.
        scheme, encoder: what ``{scheme}`` and ``{encoder}`` stand for.
        sources: for columns whose origin is the asset's own matter, e.g. ``sha256="mc5_metrics.lwlrap"``.
    """
    made_of = {field.name: (field.metadata or {}).get(b"from", b"").decode() for field in schema}
    origins: Mapping[str, str] = {
        **{name: text.format(scheme=scheme, encoder=encoder) for name, text in made_of.items()},
        **sources,
    }
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=name)
                for asset, _, name in (one.partition(".") for one in text.split())
            ]
            for column, text in origins.items()
            if text
        }
    )
