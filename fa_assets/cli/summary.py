"""The summary of a run, read from the stored values."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import SCHEMES
from fa_assets.cli.options import say
from fa_assets.encoders.registry import DEFAULT, checkpoint_asset, find_encoder, key_prefix
from fa_assets.metrics.figures import FOLD, OVERALL, Figures
from fa_assets.models.nested import CHOSEN
from fa_assets.settings import Settings
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


def read_summary(storage: StoragePath, encoder: str = DEFAULT, others: Iterable[str] = ()) -> Summary:
    """Read the summary of a storage folder, with the weights of an encoder, and the results of it and of others."""
    values = ValueStore(storage)
    clips = _maybe(values, "curated_clips")
    checkpoint = _maybe(values, checkpoint_asset(encoder))
    header = values.header("curated_clips")
    row = checkpoint.to_pylist()[0] if checkpoint is not None else {}
    report = _maybe(values, "report")
    results = {}
    for scheme in [*SCHEMES, *(f"{key_prefix(other)}{scheme}" for other in others for scheme in SCHEMES)]:
        metrics = _maybe(values, f"{scheme}_metrics")
        if metrics is not None:
            figures = Figures.of_table(metrics, ())
            results[scheme] = SchemeResult(float(figures.values(OVERALL)[0]), tuple(figures.values(FOLD).tolist()))
    return Summary(
        storage=storage,
        clips=None if clips is None else clips.num_rows,
        hours=None if clips is None else float(np.asarray(clips["seconds"]).sum()) / 3600,
        left_out=tuple((fname, reason) for fname, reason in header.details["left_out"]) if header else (),
        classes=None if header is None else len(header.details.get("classes", ())),
        checkpoint_origin=row.get("origin"),
        checkpoint_trained=row.get("trained"),
        results=results,
        report=None if report is None else storage / report["path"][0].as_py(),
    )


def new_terms(settings: Settings) -> list[str]:
    """Licence and citation of trained weights of which the storage folder has none yet."""
    values = ValueStore(settings.storage_root)
    main = {checkpoint_asset(settings.encoder): (settings.encoder, settings.checkpoint_source)}
    others = {key_prefix(one) + checkpoint_asset(one): (one, source) for one, source in settings.other_encoders.items()}
    return [
        find_encoder(encoder).card.terms
        for asset, (encoder, source) in {**main, **others}.items()
        if source != "demo" and values.header(asset) is None
    ]


def print_summary(settings: Settings) -> None:
    """Print the summary of the storage folder, and the command that opens the UI over it."""
    from fa_assets.definitions import code_location
    from fa_assets.graph.staleness import stale_by_settings

    summary = read_summary(settings.storage_root, settings.encoder, settings.other_encoders)
    if summary.clips is None:
        say("Nothing has been materialized yet.")
        return
    lines = [("clips", f"{summary.clips} ({summary.hours:.2f} h), {summary.classes} classes")]
    if summary.left_out:
        lines.append(("left out", f"{len(summary.left_out)} clips that cannot be used:"))
        lines += [("", f"{fname}: {reason}") for fname, reason in summary.left_out[:20]]
    if summary.checkpoint_origin is not None:
        lines.append(("weights", summary.checkpoint_origin))
        if not summary.checkpoint_trained:
            lines.append(("", "UNTRAINED weights: the figures show that the pipeline works, nothing about real sound"))
    location = code_location(settings)
    stale = stale_by_settings(location.graph, location.place)
    schemes = [one for one in (settings.scheme, settings.baseline) if one in summary.results]
    of_others = [
        f"{key_prefix(other)}{one}" for other in settings.other_encoders for one in (settings.scheme, settings.baseline)
    ]
    for scheme in [*schemes, *(one for one in of_others if one in summary.results)]:
        result = summary.results[scheme]
        per_fold = "  ".join(f"{value:.4f}" for value in result.per_fold)
        note = "   not of these settings: see fa-assets status" if f"{scheme}_metrics" in stale else ""
        lines.append((f"LWLRAP {scheme}", f"{result.overall:.4f}   folds {per_fold}{note}"))
    if len(schemes) == 2 and stale.keys().isdisjoint({*(f"{one}_metrics" for one in schemes), "comparison"}):
        ours, baseline = (summary.results[one].overall for one in schemes)
        lines.append((" - ".join(schemes), f"{ours - baseline:+.4f}"))
    blend = _maybe(ValueStore(settings.storage_root), "blend")
    if blend is not None and "blend" not in stale and settings.other_encoders:
        (nested,) = (row for row in blend.to_pylist() if row["blend"] == CHOSEN)
        lines.append(("LWLRAP blend", f"{nested['lwlrap']:.4f}   the nested choice"))
    lines += [
        ("files", str(summary.storage)),
        ("catalog", str(settings.local_root / "catalog.duckdb")),
        *([("report", str(summary.report))] if summary.report else []),
        ("look at it", settings.command_line("ui")),
    ]
    width = max(14, *(len(name) for name, _ in lines))
    for name, text in lines:
        say(f"{name:>{width}}  {text}")


def _maybe(values: ValueStore, asset: str) -> pa.Table | None:
    try:
        return values.read(asset).table
    except MissingValueError:
        return None
