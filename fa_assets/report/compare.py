"""Two runs side by side: how much better the second is, for which classes and clips, and what was changed between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from fa_assets.catalog.tracing import Difference, Run, RunDifferences, differences
from fa_assets.errors import UserError
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.metrics.bootstrap import CONFIDENCE, FEW_UNITS, verdict
from fa_assets.metrics.label_ranks import ClipChange, RankChanges, rank_changes
from fa_assets.report.page import Bar, Figure, Page, Player, Section, Table
from fa_assets.report.ranks import beside_report, read_ranks
from fa_assets.report.snippets import LocalClip, local_clips, snippets
from fa_assets.report.standing import between
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import MissingValueError, ValueStore

PLAYERS = 12
CLIPS_SHOWN = 50
_SETTINGS = ("setting", "code", "environment")
_DATA = ("input", "data", "asset")


def comparison_of(
    root: StoragePath, dataset: KaggleDataset, connection: duckdb.DuckDBPyConnection, a: str, b: str
) -> Page:
    """The page about two runs of a storage; each is named as `tracing.resolve_run` says, the earlier one first.

    Raises:
        UserError: there is no such run, or it made no report.
    """
    found = differences(connection, a, b)
    ranks = []
    for run in (found.a, found.b):
        own = read_ranks(beside_report(root, run.run_id))
        if own is None:
            raise UserError(
                f"Run {run.run_id} kept nothing to compare it by: it made no report, or an older fa_assets did. Name a run "
                f"that has the file reports/RUN.parquet in {root}; `fa-assets diff` without --html compares any two."
            )
        ranks.append(own)
    try:
        clips = local_clips(dataset, ValueStore(root).read("folds").table)
    except MissingValueError:
        clips = {}
    return compare_page(found, ranks[0], ranks[1], clips)


def compare_page(found: RunDifferences, a: pa.Table, b: pa.Table, clips: Mapping[str, LocalClip]) -> Page:
    """The page.

    Args:
        found: the runs, and what differs between them.
        a, b: their tables of `label_ranks`.
        clips: those that may be on this machine, by name.
    """
    changes = rank_changes(a, b)
    names = _name(found.a), _name(found.b)
    return Page(
        title=f"Run {found.a.run_id[:8]} and {names[1]}",
        subtitle=f"a is {_described(found.a)}; b is {_described(found.b)}.",
        answer="The two runs have no clip with the same sound and labels: there is nothing to compare."
        if changes.change is None
        else verdict(changes.change, names[1], names[0]),
        figures=list(_figures(changes, a, b)),
        sections=[
            _classes(changes),
            _clips(changes, clips),
            _data(changes, a, b, found.differences),
            Section(
                "Settings, code and environment",
                "" if any(one.kind in _SETTINGS for one in found.differences) else "They are the same.",
                tables=_tables("What differs", [one for one in found.differences if one.kind in _SETTINGS]),
            ),
        ],
    )


def _figures(changes: RankChanges, a: pa.Table, b: pa.Table) -> Iterable[Figure]:
    for name, ranks in (("a", a), ("b", b)):
        precision = ranks["precision"].to_numpy()
        yield Figure(
            f"LWLRAP of {name}",
            f"{precision.mean():.4f}" if len(precision) else "–",
            "",
            f"Over all {len(precision)} labels of its {len(ranks['fname'].unique())} clips, out of fold.",
        )
    if changes.change is not None:
        yield Figure(
            "b less a",
            f"{changes.change.difference:+z.4f}",
            between(changes.change.low, changes.change.high, changes.change.units, "+z"),
            f"LWLRAP on the {changes.compared} clips that have the same sound and labels in both: {changes.a:.4f} and "
            f"{changes.b:.4f} there. The interval is a paired bootstrap over independent clips or groups."
            + changes.relabelling,
        )


def _classes(changes: RankChanges) -> Section:
    rows = [
        (
            one.class_name,
            Bar(one.a),
            Bar(one.b),
            f"{one.b - one.a:+z.4f}",
            f"{one.change.low:+z.4f} to {one.change.high:+z.4f} ({one.change.units})",
            one.labels,
        )
        for one in changes.classes
    ]
    clear = sum(one.change.low > 0 or one.change.high < 0 for one in changes.classes)
    columns = ("class", "LWLRAP of a", "of b", "b less a", f"{CONFIDENCE:.0%} interval (units)", "labels")
    return Section(
        "Classes",
        f"On the clips that both share, the greatest loss first. The interval of {clear} of {len(rows)} classes excludes 0; "
        f"where nothing changed, that of about {1 - CONFIDENCE:.0%} of them would by chance. In brackets: the independent "
        f"clips or groups that it rests on; below {FEW_UNITS} it is rough.",
        tables=[Table("By class", columns, rows, open=True)] if rows else [],
    )


def _clips(changes: RankChanges, clips: Mapping[str, LocalClip]) -> Section:
    shown = changes.clips[:CLIPS_SHOWN]
    of_clip = {one.fname: one for one in shown}
    sounds = snippets([clips[fname] for fname in of_clip if fname in clips], PLAYERS)
    rows = [(one.fname, one.a, one.b, f"{one.b - one.a:+z.4f}", _ranks(one)) for one in shown]
    return Section(
        "Clips that changed rank most",
        f"LWLRAP of {len(changes.clips)} of the {changes.compared} shared clips is another"
        + (f"; the first {len(shown)} are shown" if len(shown) < len(changes.clips) else "")
        + ". A label's rank is 1 where no other class scores as high.",
        players=[Player(fname, _ranks(of_clip[fname]), one.sound, one.spectrogram) for fname, one in sounds.items()],
        tables=[Table("By the change", ("clip", "LWLRAP of a", "of b", "b less a", "rank in a and b"), rows)]
        if rows
        else [],
    )


def _ranks(one: ClipChange) -> str:
    return ", ".join(f"{name} {before} → {after}" for name, before, after in one.ranks)


def _data(changes: RankChanges, a: pa.Table, b: pa.Table, found: Sequence[Difference]) -> Section:
    before, after = _labels(a), _labels(b)
    tables = _tables("Versions that differ", [one for one in found if one.kind in _DATA])
    if changes.relabelled:
        rows = [(one, before[one], after[one]) for one in changes.relabelled]
        tables.insert(0, Table("Clips with other labels", ("clip", "labels in a", "labels in b"), rows))
    for name, only, labels in (("a", changes.only_a, before), ("b", changes.only_b, after)):
        if only:
            named = [(one, labels[one]) for one in only]
            tables.insert(0, Table(f"Clips that {name} alone has, or with this sound", ("clip", "labels"), named))
    return Section(
        "Data",
        f"{changes.compared} clips are the same in both. {len(changes.relabelled)} have other labels, {len(changes.only_a)} "
        f"are in a alone and {len(changes.only_b)} in b alone; these have no part in the differences above.",
        tables=tables,
    )


def _labels(ranks: pa.Table) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for fname, name in zip(ranks["fname"].to_pylist(), ranks["class_name"].to_pylist(), strict=True):
        found.setdefault(fname, []).append(name)
    return {fname: ", ".join(names) for fname, names in found.items()}


def _tables(title: str, found: Sequence[Difference]) -> list[Table]:
    rows = [(one.kind, one.name, one.a, one.b) for one in found]
    return [Table(title, ("what", "name", "a", "b"), rows)] if rows else []


def _name(run: Run) -> str:
    return f"run {run.run_id[:8]}"


def _described(run: Run) -> str:
    return f"run {run.run_id} of {run.finished_at:%Y-%m-%d %H:%M} UTC"
