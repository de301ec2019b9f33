"""Several encoders side by side, in the report: what each reaches, costs and allows, and what a blend of them reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fa_assets.encoders.registry import find_encoder, key_prefix
from fa_assets.metrics.bootstrap import FEW_UNITS
from fa_assets.report.page import Cell, Section, Table
from fa_assets.store.ledger import LedgerEntry

_COLUMNS = (
    "encoder",
    "scheme",
    "LWLRAP",
    "95% interval (units)",
    "difference to the main one",
    "95% interval of it",
    "clips/s",
    "dimension",
    "licence of the weights",
)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """The encoders, the main one first, its crop scheme, and the tables comparison and blend."""

    encoders: Sequence[str]
    scheme: str
    comparison: pa.Table
    blend: pa.Table


def encoders_section(run: SideBySide, entries: Sequence[LedgerEntry]) -> Section:
    """One table of all encoders and schemes, and one of their blends; `entries` are what is behind the run."""
    main, *others = run.encoders
    of_prefix = {"": main, **{key_prefix(one): one for one in others}}
    found = {(row["scope"], row["key"]): row for row in run.comparison.to_pylist()}
    rows: list[Sequence[Cell]] = []
    for scope, key in found:
        if scope != "scheme":
            continue
        scheme = key.rpartition("/")[2]
        encoder = of_prefix[key.removesuffix(scheme)]
        card = find_encoder(encoder).card
        pair = found.get(("pair", f"{key} - {run.scheme}"))
        own = found[scope, key]
        rows.append(
            (
                encoder,
                scheme,
                own["lwlrap"],
                _interval(own),
                None if pair is None else pair["difference"],
                "" if pair is None else _interval(pair, "+z"),
                _clips_per_second([one for one in entries if one.asset == f"{key}_embeddings"]),
                card.dimension,
                card.weights_licence,
            )
        )
    return Section(
        "Encoders side by side",
        "The same clips and folds for all. Clips a second are of decoding and embedding, where anything had to be computed. "
        "The best blend's row is the maximum of a search and so too high; in the nested choice no fold has a say in the blend "
        "it is judged by. Intervals of blends hold for all of them at once; on fewer than "
        f"{FEW_UNITS} units (independent clips or groups) intervals are rough.",
        tables=[
            Table("Encoders and crop schemes", _COLUMNS, rows),
            against_baseline("blend", run.blend.to_pylist(), f"Blends of {run.scheme}, against {main} alone"),
        ],
    )


def against_baseline(
    contender: str, rows: Sequence[Mapping[str, Any]], title: str = "Against the baseline, with 95% intervals"
) -> Table:
    """The table of contenders, the column that names them first: intervals of a difference are those that hold for all at once,
    that of the nested choice its own."""
    shown = [
        (
            *(row[name] for name in (contender, "lwlrap", "difference")),
            *(row[end] if row[f"{end}_of_all"] is None else row[f"{end}_of_all"] for end in ("low", "high")),
            row["units"],
            row["share_won"],
            "; ".join(row["chosen"]),
        )
        for row in rows
    ]
    columns = (contender, "lwlrap", "difference", "low", "high", "units", "share_won", "chosen in folds 0 to 4")
    return Table(title, columns, shown)


def _interval(row: Mapping[str, Any], sign: str = "") -> str:
    return f"{row['low']:{sign}.4f} to {row['high']:{sign}.4f} ({row['units']})"


def _clips_per_second(made: Sequence[LedgerEntry]) -> float | None:
    computed: list[Mapping[str, Any]] = [one.metadata for one in made if one.metadata["clips_per_second"]]
    # Earlier versions counted all clips of a fold in which any was computed.
    clips = [one.get("clips_computed", one["clips"]) for one in computed]
    seconds = sum(count / one["clips_per_second"] for count, one in zip(clips, computed, strict=True))
    return sum(clips) / seconds if computed else None
