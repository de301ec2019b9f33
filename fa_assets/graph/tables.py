"""The columns of the stored tables, said once: the Arrow schemas that the assets write, and that the UI and the catalog show.

With each column goes what it is made of: columns of what the asset reads, by the parameter of the function that makes it
(``clips.labels``: the column labels of what it reads as ``clips``).
"""

import pyarrow as pa


def _column(name: str, type: pa.DataType, doc: str, made_of: str = "") -> pa.Field:
    """A field with its description, and what it is made of (``parameter.column parameter.column``)."""
    return pa.field(name, type, metadata={"doc": doc, "from": made_of})


def _taken_from(parameter: str, fields: list[pa.Field]) -> list[pa.Field]:
    """The same columns, each made of that of what is read as `parameter`."""
    return [_column(one.name, one.type, one.metadata[b"doc"].decode(), f"{parameter}.{one.name}") for one in fields]


_AUDIO = [
    _column("sample_rate", pa.int32(), "of the file, Hz", "recordings.audio"),
    _column("channels", pa.int32(), "of the file", "recordings.audio"),
    _column("frames", pa.int64(), "samples per channel, as decoded", "recordings.audio"),
    _column("seconds", pa.float64(), "frames / sample_rate", "recordings.audio"),
    _column("sha256", pa.string(), "of the file's bytes", "recordings.audio"),
    _column("decoder", pa.string(), "what read it, with its version; null for libsndfile", "recordings.audio"),
]

CLIPS = pa.schema(
    [
        _column("fname", pa.string(), "file name in the folder of clips", "recordings.fname"),
        _column("labels", pa.list_(pa.string()), "the clip's classes", "recordings.labels"),
        *_AUDIO,
        _column("group", pa.string(), "recording, uploader or site: stays in one fold", "recordings.labels"),
        _column(
            "same_recording",
            pa.string(),
            "the first of the clips that sound like one recording with this one, itself among them; null where none does",
            "recordings.audio",
        ),
        _column("given_fold", pa.int8(), "from train_curated_folds.csv, null without it", "recordings.fname"),
        _column(
            "peak",
            pa.float64(),
            "largest absolute sample of the mean of the channels, 1 is full scale",
            "recordings.audio",
        ),
        _column("rms", pa.float64(), "root of the mean square of the mean of the channels", "recordings.audio"),
        _column("clipped_share", pa.float64(), "part of the samples of all channels at full scale", "recordings.audio"),
    ]
)

FOLDS = pa.schema(
    [
        _column("fold", pa.int8(), "the fold the clip is held out in", "clips.labels clips.group clips.given_fold"),
        *_taken_from(
            "clips",
            [CLIPS.field(one) for one in ("fname", "labels", *(own.name for own in _AUDIO), "group", "same_recording")],
        ),
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

_EMBEDDING = "the encoder's embedding, mean over crops"

EMBEDDINGS = pa.schema(
    [
        _column("fname", pa.string(), "the fold's clips, in the order of the label CSV", "folds.fname folds.fold"),
        _column("embedding", pa.list_(pa.float32()), _EMBEDDING, "folds.sha256 weights.sha1"),
    ]
)

TEST_EMBEDDINGS = pa.schema(
    [
        _column("fname", pa.string(), "the test clips, in the order of test_clips", "clips.fname"),
        _column("embedding", pa.list_(pa.float32()), _EMBEDDING, "clips.sha256 weights.sha1"),
    ]
)

_FITTED = "embeddings.embedding folds.labels folds.fold"

PREDICTIONS = pa.schema(
    [
        _column("fname", pa.string(), "fold after fold, each in the order of the label CSV", "folds.fname"),
        _column("fold", pa.int8(), "the fold the clip is held out in", "folds.fold"),
        _column(
            "unit",
            pa.int32(),
            "clips of one group, copies and near-duplicates share one; units are independent of one another",
            "folds.group folds.sha256 folds.same_recording",
        ),
        _column(
            "class_name", pa.list_(pa.string()), "every class, in the order of the lists beside it", "folds.labels"
        ),
        _column("truth", pa.list_(pa.bool_()), "for each class, whether the clip has the label", "folds.labels"),
        _column("logit", pa.list_(pa.float64()), "for each class, of the model fitted on the other folds", _FITTED),
        _column("probability", pa.list_(pa.float64()), "for each class, 1 / (1 + exp(-logit))", _FITTED),
    ]
)

_SCORED = "predictions.truth predictions.logit predictions.probability"
_INTERVAL = f"{_SCORED} predictions.unit"

METRICS = pa.schema(
    [
        _column(
            "metric",
            pa.string(),
            "lwlrap, map (average precision), auc, dprime, precision_at_recall (0.8), f1, precision, recall, coverage_error, "
            "one_error, threshold (of the probability, from which on the label is given), platt_scale, platt_offset",
        ),
        _column("scope", pa.string(), "overall (over classes: the macro average), micro, fold, class or clip"),
        _column("key", pa.string(), "the fold, class or clip; else empty", "predictions.fname predictions.fold"),
        _column("value", pa.float64(), "null where there is nothing to score", _SCORED),
        _column(
            "weight", pa.int64(), "positives; of lwlrap, a mean by it gives a wider scope's value", "predictions.truth"
        ),
        _column("low", pa.float64(), "lower end of the 95% interval; null where there is none", _INTERVAL),
        _column("high", pa.float64(), "upper end", _INTERVAL),
        _column("unit", pa.int32(), "of a clip: as in the predictions", "predictions.unit"),
    ]
)

_BOTH = "metrics.value baseline.value"
_COMPARISON = [
    _column("scope", pa.string(), "overall, fold or class"),
    _column("key", pa.string(), "the fold or class; empty overall", "metrics.key"),
    _column("lwlrap", pa.float64(), "of the scheme", "metrics.value"),
    _column("baseline", pa.float64(), "LWLRAP of the baseline scheme", "baseline.value"),
    _column("difference", pa.float64(), "lwlrap - baseline", _BOTH),
]
COMPARISON = pa.schema(_COMPARISON)
COMPARISON_OF_ENCODERS = pa.schema(
    [
        _column(
            "scope",
            pa.string(),
            "overall, fold or class of scheme and baseline; scheme (key birdnet/mc5: a scheme of an encoder); pair (key "
            "birdnet/mc5 - mc5: one of these less another)",
        ),
        *_COMPARISON[1:],
        _column("low", pa.float64(), "lower end of the 95% interval of lwlrap (scheme) or difference (pair)", _BOTH),
        _column("high", pa.float64(), "upper end", _BOTH),
        _column("units", pa.int32(), "independent clips or groups that the interval rests on", "metrics.unit"),
    ]
)

_PROBABILITY = "predictions.probability"

LABEL_AUDIT = pa.schema(
    [
        _column("rank", pa.int32(), "1 is the most doubted", _PROBABILITY),
        _column("fname", pa.string(), "the clip", "predictions.fname"),
        _column("class_name", pa.string(), "the class in question", "predictions.truth"),
        _column("kind", pa.string(), "missing label or wrong label", "predictions.truth"),
        _column("labels", pa.string(), "the clip's classes as they are given", "predictions.truth"),
        _column("fold", pa.int8(), "the fold the clip was held out in", "predictions.fold"),
        _column("probability", pa.float64(), "of the class, out of fold", _PROBABILITY),
        _column("self_confidence", pa.float64(), "probability of the label as it is given", _PROBABILITY),
        _column(
            "threshold", pa.float64(), "mean probability of the opposite answer where it is the given one", _PROBABILITY
        ),
        _column(
            "margin",
            pa.float64(),
            "of the opposite answer's probability above the threshold; 1 is certain",
            _PROBABILITY,
        ),
    ]
)

LABEL_CORRECTIONS = pa.schema(
    [
        _column("fname", pa.string(), "the clip", "recordings.fname"),
        _column("class_name", pa.string(), "the class in question", "recordings.labels"),
        _column("verdict", pa.string(), "keep, add, remove, unsure or undo", "recordings.labels"),
        _column(
            "in_force",
            pa.bool_(),
            "whether it counts: the last on the label that stands, or that it follows",
            "recordings.labels",
        ),
        _column(
            "changed", pa.bool_(), "whether the label is another than in train_curated.csv by it", "recordings.labels"
        ),
        _column("who", pa.string(), "who gave it"),
        _column("decided_at", pa.string(), "when (ISO 8601, UTC), as it was written"),
        _column("why", pa.string(), "what was said of it"),
    ]
)

TEST_CLIPS = pa.schema(
    [
        _column("fname", pa.string(), "file name in test/, in the order of sample_submission.csv", "recordings.fname"),
        _column("labels", pa.list_(pa.string()), "from test.csv, null where not known", "recordings.labels"),
        _column(
            "usage", pa.string(), "from test.csv: Public or Private, empty where there is none", "recordings.usage"
        ),
        *_AUDIO,
    ]
)

CLASSIFIER = pa.schema(
    [
        _column("class_name", pa.string(), "every class, in the order of the label columns", "folds.labels"),
        _column("positives", pa.int64(), "clips that carry it", "folds.labels"),
        _column("iterations", pa.int64(), "of the solver", "embeddings.embedding folds.labels"),
        _column("converged", pa.bool_(), "whether the solver stopped by itself"),
        _column("trained", pa.bool_(), "false without positives or without negatives", "folds.labels"),
        _column(
            "intercept",
            pa.float64(),
            "the log-odds of a clip with average features",
            "embeddings.embedding folds.labels",
        ),
        _column(
            "coefficient_norm",
            pa.float64(),
            "Euclidean norm of the coefficients, per standard deviation of the features",
            "embeddings.embedding folds.labels",
        ),
        _column(
            "threshold", pa.float64(), "of the probability, from which on the label is given; null where there is none"
        ),
    ]
)

SUBMISSION = pa.schema(
    [
        _column(
            "model",
            pa.string(),
            "final (of all clips), fold_mean (mean of the fold models), calibrated (final)",
        ),
        _column("fname", pa.string(), "the test clips, in the order of test_clips", "embeddings.fname"),
        _column(
            "class_name",
            pa.list_(pa.string()),
            "every class, in the order of the list beside it",
            "classifier.class_name",
        ),
        _column(
            "probability",
            pa.list_(pa.float64()),
            "for each class, as in the submission file, 0 to 1",
            "embeddings.embedding classifier.coefficient_norm predictions.logit",
        ),
    ]
)

TEST_METRICS = pa.schema(
    [
        _column(
            "model",
            pa.string(),
            "final, fold_mean, calibrated, or out_of_fold on the curated clips",
            "submission.model",
        ),
        _column("metric", pa.string(), "lwlrap, map"),
        _column("scope", pa.string(), "all, a usage (Public, Private), or curated", "clips.usage"),
        _column("clips", pa.int64(), "with labels", "clips.labels"),
        _column("value", pa.float64(), "of the metric", "submission.probability clips.labels"),
    ]
)


def _judged(made_of: str, contender: str, units: str) -> list[pa.Field]:
    """What is said of contenders, the first of which is the baseline; `units` are what those are made of."""
    return [
        _column("lwlrap", pa.float64(), "out of fold", made_of),
        _column("difference", pa.float64(), "to the baseline's LWLRAP", made_of),
        _column("low", pa.float64(), "lower end of its 95% interval (paired bootstrap over units)", made_of),
        _column("high", pa.float64(), "upper end", made_of),
        _column(
            "low_of_all", pa.float64(), f"lower end of the interval that holds for every {contender} at once", made_of
        ),
        _column("high_of_all", pa.float64(), "upper end; null for the baseline and the nested choice", made_of),
        _column("units", pa.int32(), "independent clips or groups that it rests on", units),
        _column("share_won", pa.float64(), "share of the resamples in which it beats the baseline", made_of),
        _column("lwlrap_per_fold", pa.list_(pa.float64()), "of each fold, in order", made_of),
        _column("selected", pa.bool_(), "whether the nested choice took it in some fold", made_of),
        _column("selected_in", pa.list_(pa.int8()), "the folds in which it did", made_of),
        _column(
            "chosen", pa.list_(pa.string()), f"of the nested choice: the {contender} of each fold, in order", made_of
        ),
    ]


EXPERIMENTS = pa.schema(
    [
        _column("variant", pa.string(), "what differs from the baseline, or the nested choice in each fold"),
        _column("C", pa.float64(), "inverse strength of the penalty; null for the nested choice, as all settings"),
        _column("tol", pa.float64(), "tolerance of the solver"),
        _column("weights", pa.string(), "of positives and negatives: none, balanced"),
        _column("norm", pa.string(), "of the features: standardise, l2, none"),
        _column("pool", pa.string(), "over a clip's crops: mean, max, mean+max"),
        _column("crops", pa.int8(), "how many crops of a clip"),
        *_judged("embeddings.embedding folds.labels folds.fold", "variant", "folds.group folds.sha256"),
    ]
)

BLEND = pa.schema(
    [
        _column(
            "blend", pa.string(), "an encoder alone, mean, geometric mean, stacked; or the nested choice in each fold"
        ),
        *_judged("predictions.logit predictions.truth predictions.fold", "blend", "predictions.unit"),
        _column(
            "weights",
            pa.list_(pa.float64()),
            "of the encoders, the main one first; null for the nested choice",
            _SCORED,
        ),
        _column("intercept", pa.float64(), "added to the weighted log-odds of stacked", _SCORED),
    ]
)


LEARNING_CURVE = pa.schema(
    [
        _column("clips_per_class", pa.int32(), "at least, of each class, as far as there are; null for all clips"),
        _column(
            "clips", pa.float64(), "that a classifier was fitted on; the mean over draws and folds", "folds.labels"
        ),
        _column("lwlrap", pa.float64(), "out of fold, the mean over the draws", _FITTED),
        _column("low", pa.float64(), "the lowest of the draws", _FITTED),
        _column("high", pa.float64(), "the highest", _FITTED),
        _column("draws", pa.list_(pa.float64()), "LWLRAP of each draw; of all clips there is one", _FITTED),
    ]
)


def files(made_of: str) -> pa.Schema:
    """The columns of a list of files, whose content is made of these columns."""
    return pa.schema(
        [
            _column("path", pa.string(), "relative to the storage folder"),
            _column("size_bytes", pa.int64(), "of the file"),
            _column("sha256", pa.string(), "of the file's bytes", made_of),
        ]
    )
