"""The columns of the stored tables, said once: the Arrow schemas that the assets write, and that the UI and the catalog show.

With each column goes what it is made of: columns of what the asset reads, by the parameter of the function that makes it
(``clips.labels``: the column labels of what it reads as ``clips``).
"""

import pyarrow as pa


def column(name: str, type: pa.DataType, doc: str, made_of: str = "") -> pa.Field:
    """A field with its description, and what it is made of (``parameter.column parameter.column``)."""
    return pa.field(name, type, metadata={"doc": doc, "from": made_of})


def _taken_from(parameter: str, fields: list[pa.Field]) -> list[pa.Field]:
    """The same columns, each made of that of what is read as `parameter`."""
    return [column(one.name, one.type, one.metadata[b"doc"].decode(), f"{parameter}.{one.name}") for one in fields]


_AUDIO = [
    column("sample_rate", pa.int32(), "of the file, Hz", "recordings.audio"),
    column("channels", pa.int32(), "of the file", "recordings.audio"),
    column("frames", pa.int64(), "samples per channel, as decoded", "recordings.audio"),
    column("seconds", pa.float64(), "frames / sample_rate", "recordings.audio"),
    column("sha256", pa.string(), "of the file's bytes", "recordings.audio"),
    column("decoder", pa.string(), "what read it, with its version; null for libsndfile", "recordings.audio"),
]

CLIPS = pa.schema(
    [
        column("fname", pa.string(), "file name in the folder of clips", "recordings.fname"),
        column("labels", pa.list_(pa.string()), "the clip's classes", "recordings.labels"),
        *_AUDIO,
        column("group", pa.string(), "recording, uploader or site: stays in one fold", "recordings.labels"),
        column(
            "same_recording",
            pa.string(),
            "the first of the clips that sound like one recording with this one, itself among them; null where none does",
            "recordings.audio",
        ),
        column("given_fold", pa.int8(), "from train_curated_folds.csv, null without it", "recordings.fname"),
        column(
            "peak",
            pa.float64(),
            "largest absolute sample of the mean of the channels, 1 is full scale",
            "recordings.audio",
        ),
        column("rms", pa.float64(), "root of the mean square of the mean of the channels", "recordings.audio"),
        column("clipped_share", pa.float64(), "part of the samples of all channels at full scale", "recordings.audio"),
    ]
)

FOLDS = pa.schema(
    [
        column("fold", pa.int8(), "the fold the clip is held out in", "clips.labels clips.group clips.given_fold"),
        *_taken_from(
            "clips",
            [CLIPS.field(one) for one in ("fname", "labels", *(own.name for own in _AUDIO), "group", "same_recording")],
        ),
    ]
)

CHECKPOINT = pa.schema(
    [
        column("path", pa.string(), "where the weights lie"),
        column("size_bytes", pa.int64(), "of the file"),
        column("sha1", pa.string(), "of the file's bytes"),
        column("origin", pa.string(), "where the file came from"),
        column("trained", pa.bool_(), "false for the seeded demo weights"),
    ]
)

_EMBEDDING = "the encoder's embedding, mean over crops"

EMBEDDINGS = pa.schema(
    [
        column("fname", pa.string(), "the fold's clips, in the order of the label CSV", "folds.fname folds.fold"),
        column("embedding", pa.list_(pa.float32()), _EMBEDDING, "folds.sha256 weights.sha1"),
    ]
)

TEST_EMBEDDINGS = pa.schema(
    [
        column("fname", pa.string(), "the test clips, in the order of test_clips", "clips.fname"),
        column("embedding", pa.list_(pa.float32()), _EMBEDDING, "clips.sha256 weights.sha1"),
    ]
)

FITTED = "embeddings.embedding folds.labels folds.fold"

PREDICTIONS = pa.schema(
    [
        column("fname", pa.string(), "fold after fold, each in the order of the label CSV", "folds.fname"),
        column("fold", pa.int8(), "the fold the clip is held out in", "folds.fold"),
        column(
            "unit",
            pa.int32(),
            "clips of one group, copies and near-duplicates share one; units are independent of one another",
            "folds.group folds.sha256 folds.same_recording",
        ),
        column("sha256", pa.string(), "of the clip's bytes, hex", "folds.sha256"),
        column("class_name", pa.list_(pa.string()), "every class, in the order of the lists beside it", "folds.labels"),
        column("truth", pa.list_(pa.bool_()), "for each class, whether the clip has the label", "folds.labels"),
        column("logit", pa.list_(pa.float64()), "for each class, of the model fitted on the other folds", FITTED),
        column("probability", pa.list_(pa.float64()), "for each class, 1 / (1 + exp(-logit))", FITTED),
    ]
)

SCORED = "predictions.truth predictions.logit predictions.probability"
_INTERVAL = f"{SCORED} predictions.unit"
_UNITS = "independent clips or groups that the interval rests on; below 40 it is rough"

METRICS = pa.schema(
    [
        column(
            "metric",
            pa.string(),
            "lwlrap, map (average precision), auc, dprime, precision_at_recall (0.8), f1, precision, recall, coverage_error, "
            "one_error, threshold (of the probability, from which on the label is given), calibrated_threshold, platt_scale, "
            "platt_offset",
        ),
        column("scope", pa.string(), "overall (over classes: the macro average), micro, fold, class or clip"),
        column("key", pa.string(), "the fold, class or clip; else empty", "predictions.fname predictions.fold"),
        column("value", pa.float64(), "null where there is nothing to score", SCORED),
        column(
            "weight", pa.int64(), "positives; of lwlrap, a mean by it gives a wider scope's value", "predictions.truth"
        ),
        column("low", pa.float64(), "lower end of the 95% interval; null where there is none", _INTERVAL),
        column("high", pa.float64(), "upper end", _INTERVAL),
        column("units", pa.int32(), _UNITS, "predictions.unit predictions.truth"),
        column("unit", pa.int32(), "of a clip: as in the predictions", "predictions.unit"),
    ]
)

_BOTH = "metrics.value baseline.value"
_COMPARISON = [
    column("scope", pa.string(), "overall, fold or class"),
    column("key", pa.string(), "the fold or class; empty overall", "metrics.key"),
    column("lwlrap", pa.float64(), "of the scheme", "metrics.value"),
    column("baseline", pa.float64(), "LWLRAP of the baseline scheme", "baseline.value"),
    column("difference", pa.float64(), "lwlrap - baseline", _BOTH),
]
COMPARISON = pa.schema(_COMPARISON)
COMPARISON_OF_ENCODERS = pa.schema(
    [
        column(
            "scope",
            pa.string(),
            "overall, fold or class of scheme and baseline; scheme (key birdnet/mc5: a scheme of an encoder); pair (key "
            "birdnet/mc5 - mc5: one of these less another)",
        ),
        *_COMPARISON[1:],
        column("low", pa.float64(), "lower end of the 95% interval of lwlrap (scheme) or difference (pair)", _BOTH),
        column("high", pa.float64(), "upper end", _BOTH),
        column("units", pa.int32(), "independent clips or groups that the interval rests on", "metrics.unit"),
    ]
)

_PROBABILITY = "predictions.probability"

LABEL_AUDIT = pa.schema(
    [
        column("rank", pa.int32(), "1 is the most doubted", _PROBABILITY),
        column("fname", pa.string(), "the clip", "predictions.fname"),
        column("class_name", pa.string(), "the class in question", "predictions.truth"),
        column("kind", pa.string(), "missing label or wrong label", "predictions.truth"),
        column("labels", pa.string(), "the clip's classes as they are given", "predictions.truth"),
        column("fold", pa.int8(), "the fold the clip was held out in", "predictions.fold"),
        column("probability", pa.float64(), "of the class, out of fold", _PROBABILITY),
        column("self_confidence", pa.float64(), "probability of the label as it is given", _PROBABILITY),
        column(
            "threshold", pa.float64(), "mean probability of the opposite answer where it is the given one", _PROBABILITY
        ),
        column(
            "margin",
            pa.float64(),
            "of the opposite answer's probability above the threshold; 1 is certain",
            _PROBABILITY,
        ),
    ]
)

LABEL_CORRECTIONS = pa.schema(
    [
        column("fname", pa.string(), "the clip", "recordings.fname"),
        column("class_name", pa.string(), "the class in question", "recordings.labels"),
        column("verdict", pa.string(), "keep, add, remove, unsure or undo", "recordings.labels"),
        column(
            "in_force",
            pa.bool_(),
            "whether it counts: the last on the label that stands, or that it follows",
            "recordings.labels",
        ),
        column(
            "changed", pa.bool_(), "whether the label is another than in train_curated.csv by it", "recordings.labels"
        ),
        column("who", pa.string(), "who gave it"),
        column("decided_at", pa.string(), "when (ISO 8601, UTC), as it was written"),
        column("why", pa.string(), "what was said of it"),
    ]
)

TEST_CLIPS = pa.schema(
    [
        column("fname", pa.string(), "file name in test/, in the order of sample_submission.csv", "recordings.fname"),
        column("labels", pa.list_(pa.string()), "from test.csv, null where not known", "recordings.labels"),
        column("usage", pa.string(), "from test.csv: Public or Private, empty where there is none", "recordings.usage"),
        *_AUDIO,
        column(
            "same_as",
            pa.string(),
            "the curated clip with the same bytes; null where there is none",
            "recordings.audio curated.sha256",
        ),
        column(
            "same_recording",
            pa.string(),
            "the first curated clip that sounds like one recording with it, maybe by way of others; null where none does",
            "recordings.audio curated.sha256 curated.same_recording",
        ),
        column(
            "unit",
            pa.int32(),
            "copies and near-duplicates share one; units are independent of one another",
            "recordings.audio curated.sha256 curated.same_recording",
        ),
    ]
)

CLASSIFIER = pa.schema(
    [
        column("class_name", pa.string(), "every class, in the order of the label columns", "folds.labels"),
        column("positives", pa.int64(), "clips that carry it", "folds.labels"),
        column("iterations", pa.int64(), "of the solver", "embeddings.embedding folds.labels"),
        column("converged", pa.bool_(), "whether the solver stopped by itself"),
        column("trained", pa.bool_(), "false without positives or without negatives", "folds.labels"),
        column(
            "intercept",
            pa.float64(),
            "the log-odds of a clip with average features",
            "embeddings.embedding folds.labels",
        ),
        column(
            "coefficient_norm",
            pa.float64(),
            "Euclidean norm of the coefficients, per standard deviation of the features",
            "embeddings.embedding folds.labels",
        ),
        column(
            "threshold", pa.float64(), "of the probability, from which on the label is given; null where there is none"
        ),
    ]
)

SUBMISSION = pa.schema(
    [
        column(
            "model",
            pa.string(),
            "final (of all clips), fold_mean (mean of the fold models), calibrated (final)",
        ),
        column("fname", pa.string(), "the test clips, in the order of test_clips", "embeddings.fname"),
        column(
            "class_name",
            pa.list_(pa.string()),
            "every class, in the order of the list beside it",
            "classifier.class_name",
        ),
        column(
            "probability",
            pa.list_(pa.float64()),
            "for each class, as in the submission file, 0 to 1",
            "embeddings.embedding classifier.coefficient_norm predictions.logit",
        ),
    ]
)

_TESTED = "submission.probability clips.labels clips.unit"
TEST_METRICS = pa.schema(
    [
        column(
            "model",
            pa.string(),
            "final, fold_mean, calibrated, or out_of_fold on the curated clips",
            "submission.model",
        ),
        column(
            "metric",
            pa.string(),
            "an average of the metrics: macro, or micro (map_micro); those of decisions are of the model that "
            "predict --decide uses",
        ),
        column(
            "scope",
            pa.string(),
            "all, a usage (Public, Private), new (where some test clips are curated ones: the others), or curated",
            "clips.usage clips.same_as clips.same_recording",
        ),
        column("clips", pa.int64(), "with labels", "clips.labels"),
        column("value", pa.float64(), "of the metric", "submission.probability clips.labels"),
        column("low", pa.float64(), "lower end of its 95% interval; null where there is none", _TESTED),
        column("high", pa.float64(), "upper end", _TESTED),
        column("units", pa.int32(), _UNITS, _TESTED),
    ]
)


def files(made_of: str) -> pa.Schema:
    """The columns of a list of files, whose content is made of these columns."""
    return pa.schema(
        [
            column("path", pa.string(), "relative to the storage folder"),
            column("size_bytes", pa.int64(), "of the file"),
            column("sha256", pa.string(), "of the file's bytes", made_of),
        ]
    )
