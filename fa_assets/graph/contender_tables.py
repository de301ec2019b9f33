"""The columns of tables whose rows are contenders, and of the learning curve; as `tables` has them."""

import pyarrow as pa

from fa_assets.graph.tables import FITTED, SCORED, column


def _judged(made_of: str, contender: str, units: str) -> list[pa.Field]:
    """What is said of contenders, the first of which is the baseline; `units` are what those are made of."""
    return [
        column("lwlrap", pa.float64(), "out of fold", made_of),
        column("difference", pa.float64(), "to the baseline's LWLRAP", made_of),
        column("low", pa.float64(), "lower end of its 95% interval (paired bootstrap over units)", made_of),
        column("high", pa.float64(), "upper end", made_of),
        column(
            "low_of_all", pa.float64(), f"lower end of the interval that holds for every {contender} at once", made_of
        ),
        column("high_of_all", pa.float64(), "upper end; null for the baseline and the nested choice", made_of),
        column("units", pa.int32(), "independent clips or groups that it rests on", units),
        column("share_won", pa.float64(), "share of the resamples in which it beats the baseline", made_of),
        column("lwlrap_per_fold", pa.list_(pa.float64()), "of each fold, in order", made_of),
        column("selected", pa.bool_(), "whether the nested choice took it in some fold", made_of),
        column("selected_in", pa.list_(pa.int8()), "the folds in which it did", made_of),
        column(
            "chosen", pa.list_(pa.string()), f"of the nested choice: the {contender} of each fold, in order", made_of
        ),
    ]


EXPERIMENTS = pa.schema(
    [
        column("variant", pa.string(), "what differs from the baseline, or the nested choice in each fold"),
        column("C", pa.float64(), "inverse strength of the penalty; null for the nested choice, as all settings"),
        column("tol", pa.float64(), "tolerance of the solver"),
        column("weights", pa.string(), "of positives and negatives: none, balanced"),
        column("norm", pa.string(), "of the features: standardise, l2, none"),
        column("pool", pa.string(), "over a clip's crops: mean, max, mean+max"),
        column("crops", pa.int8(), "how many crops of a clip"),
        *_judged("embeddings.embedding folds.labels folds.fold", "variant", "folds.group folds.sha256"),
    ]
)

BLEND = pa.schema(
    [
        column(
            "blend", pa.string(), "an encoder alone, mean, geometric mean, stacked; or the nested choice in each fold"
        ),
        *_judged("predictions.logit predictions.truth predictions.fold", "blend", "predictions.unit"),
        column(
            "weights",
            pa.list_(pa.float64()),
            "of the encoders, the main one first; null for the nested choice",
            SCORED,
        ),
        column("intercept", pa.float64(), "added to the weighted log-odds of stacked", SCORED),
    ]
)


LEARNING_CURVE = pa.schema(
    [
        column("clips_per_class", pa.int32(), "at least, of each class, as far as there are; null for all clips"),
        column("clips", pa.float64(), "that a classifier was fitted on; the mean over draws and folds", "folds.labels"),
        column("lwlrap", pa.float64(), "out of fold, the mean over the draws", FITTED),
        column("lowest", pa.float64(), "of the draws", FITTED),
        column("highest", pa.float64(), "of the draws", FITTED),
        column("draws", pa.list_(pa.float64()), "LWLRAP of each draw; of all clips there is one", FITTED),
    ]
)
