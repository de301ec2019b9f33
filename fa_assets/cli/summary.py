"""What a person wants to know after a run, read from the stored values."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.encoders.registry import DEFAULT, checkpoint_asset
from fa_assets.metrics.metric_table import sums_of, total_of
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import MissingValueError, ValueStore


@dataclass(frozen=True)
class SchemeResult:
    """LWLRAP of one crop scheme: overall and per fold."""

    overall: float
    per_fold: tuple[float, ...]


@dataclass(frozen=True)
class Summary:
    """The state of one storage folder; what has not been materialized yet is None or empty."""

    storage: StoragePath
    clips: int | None
    hours: float | None
    left_out: tuple[tuple[str, str], ...]
    classes: int | None
    checkpoint_origin: str | None
    checkpoint_trained: bool | None
    results: dict[str, SchemeResult]
    report: StoragePath | None


def read_summary(storage: StoragePath, encoder: str = DEFAULT) -> Summary:
    """Read the summary of a storage folder, with the weights of an encoder."""
    values = ValueStore(storage)
    clips = _maybe(values, "curated_clips")
    vocabulary = _maybe(values, "class_vocabulary")
    checkpoint = _maybe(values, checkpoint_asset(encoder))
    header = values.header("curated_clips")
    row = checkpoint.to_pylist()[0] if checkpoint is not None else {}
    report = _maybe(values, "report")
    results = {}
    for scheme in ("mc5", "center"):
        metrics = _maybe(values, f"{scheme}_metrics")
        if metrics is not None:
            sums = sums_of(metrics)[1]
            results[scheme] = SchemeResult(total_of(sums).overall, tuple(sums[fold].overall for fold in sorted(sums)))
    return Summary(
        storage=storage,
        clips=None if clips is None else clips.num_rows,
        hours=None if clips is None else float(np.asarray(clips["seconds"]).sum()) / 3600,
        left_out=tuple((fname, reason) for fname, reason in header.details["left_out"]) if header else (),
        classes=None if vocabulary is None else vocabulary.num_rows,
        checkpoint_origin=row.get("origin"),
        checkpoint_trained=row.get("trained"),
        results=results,
        report=None if report is None else storage / report["path"][0].as_py(),
    )


def _maybe(values: ValueStore, asset: str) -> pa.Table | None:
    try:
        return values.read(asset).table
    except MissingValueError:
        return None
