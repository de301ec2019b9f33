"""The summary of a run, read from the stored values."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fa_assets.audio.crops import SCHEMES
from fa_assets.cli.options import say
from fa_assets.encoders.registry import checkpoint_asset, find_encoder, key_prefix
from fa_assets.metrics.figures import FOLD, OVERALL, Figures
from fa_assets.models.nested import CHOSEN
from fa_assets.settings import Settings
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import MissingValueError, Value, ValueStore


@dataclass(frozen=True)
class SchemeResult:
    """LWLRAP of one crop scheme: overall and per fold."""

    overall: float
    per_fold: tuple[float, ...]


def scheme_results(storage: StoragePath, other_encoders: Iterable[str] = ()) -> dict[str, SchemeResult]:
    """What has been found, by crop scheme: of the main encoder, and of others (``birdnet/mc5``)."""
    values, results = ValueStore(storage), {}
    for scheme in [f"{prefix}{scheme}" for prefix in ("", *map(key_prefix, other_encoders)) for scheme in SCHEMES]:
        if metrics := _maybe(values, f"{scheme}_metrics"):
            figures = Figures.of_table(metrics.table, ())
            results[scheme] = SchemeResult(float(figures.values(OVERALL)[0]), tuple(figures.values(FOLD).tolist()))
    return results


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

    values = ValueStore(settings.storage_root)
    clips = _maybe(values, "curated_clips")
    if clips is None:
        say("Nothing has been materialized yet.")
        return
    hours, details = float(np.asarray(clips.table["seconds"]).sum()) / 3600, clips.header.details
    lines = [("clips", f"{clips.table.num_rows} ({hours:.2f} h), {len(details.get('classes', ()))} classes")]
    if left_out := details["left_out"]:
        lines.append(("left out", f"{len(left_out)} clips that cannot be used:"))
        lines += [("", f"{fname}: {reason}") for fname, reason in left_out[:20]]
    if checkpoint := _maybe(values, checkpoint_asset(settings.encoder)):
        weights = checkpoint.table.to_pylist()[0]
        lines.append(("weights", weights["origin"]))
        if not weights["trained"]:
            lines.append(("", "UNTRAINED weights: the figures show that the pipeline works, nothing about real sound"))
    location = code_location(settings)
    stale = stale_by_settings(location.graph, location.place)
    results = scheme_results(settings.storage_root, settings.other_encoders)
    wanted = (settings.scheme, settings.baseline)
    schemes = [one for one in wanted if one in results]
    of_others = [f"{key_prefix(other)}{one}" for other in settings.other_encoders for one in wanted]
    for scheme in [*schemes, *(one for one in of_others if one in results)]:
        result = results[scheme]
        per_fold = "  ".join(f"{value:.4f}" for value in result.per_fold)
        note = "   not of these settings: see fa-assets status" if f"{scheme}_metrics" in stale else ""
        lines.append((f"LWLRAP {scheme}", f"{result.overall:.4f}   folds {per_fold}{note}"))
    if len(schemes) == 2 and stale.keys().isdisjoint({*(f"{one}_metrics" for one in schemes), "comparison"}):
        ours, baseline = (results[one].overall for one in schemes)
        lines.append((" - ".join(schemes), f"{ours - baseline:+.4f}"))
    blend = _maybe(values, "blend")
    if blend is not None and "blend" not in stale and settings.other_encoders:
        (nested,) = (row for row in blend.table.to_pylist() if row["blend"] == CHOSEN)
        lines.append(("LWLRAP blend", f"{nested['lwlrap']:.4f}   the nested choice"))
    report = _maybe(values, "report")
    lines += [
        ("files", str(settings.storage_root)),
        ("catalog", str(settings.local_root / "catalog.duckdb")),
        *([("report", str(settings.storage_root / report.table["path"][0].as_py()))] if report else []),
        ("look at it", settings.command_line("ui")),
    ]
    width = max(14, *(len(name) for name, _ in lines))
    for name, text in lines:
        say(f"{name:>{width}}  {text}")


def _maybe(values: ValueStore, asset: str) -> Value | None:
    try:
        return values.read(asset)
    except MissingValueError:
        return None
