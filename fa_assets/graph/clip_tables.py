"""What is read from tables of clips, also those of versions before a column."""

import numpy as np
import pyarrow as pa

from fa_assets.metrics.units import independent_units


def decoders(clips: pa.Table) -> list[str | None]:
    """The decoders of clips; those that a version before this column stored were all read by libsndfile."""
    return clips["decoder"].to_pylist() if "decoder" in clips.column_names else [None] * clips.num_rows


def units(clips: pa.Table, near_duplicates: bool = True) -> np.ndarray:
    """The independent unit of each clip, int64 (clips,): its group, its copies and its near-duplicates.

    Args:
        near_duplicates: whether these count; folds from before that search have none.
    """
    known = near_duplicates and "same_recording" in clips.column_names
    columns = ("group", "sha256", "same_recording") if known else ("group", "sha256")
    return independent_units(*(clips[name].to_pylist() for name in columns))
