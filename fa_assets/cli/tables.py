"""What the catalog's commands print: rich tables and a tree on a terminal, plain aligned text elsewhere."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from fa_assets.catalog.tracing import Lineage, Materialization, Run, RunDifferences
from fa_assets.cli.console import Console
from fa_assets.encoders.base import EncoderDefinition, EncoderFamily, to_install
from fa_assets.encoders.registry import is_checkpoint

_PLAIN_WIDTH = 1000
_SHORT = 8
_NAMED = 2


def runs(found: Sequence[Run]) -> str:
    """One line for each run; a terminal of 80 columns is wide enough."""
    table = _table("run", "finished (UTC)", "min", "made", "commit", "LWLRAP")
    for run in found:
        table.add_row(
            run.run_id[:_SHORT],
            f"{run.finished_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            f"{(run.finished_at - run.started_at).total_seconds() / 60:.1f}",
            ", ".join(run.assets) if len(run.assets) <= _NAMED else f"{len(run.assets)} assets",
            _commit(run).replace(" + changes", "+"),
            _lwlrap(run),
        )
    return _text(table)


def differences(found: RunDifferences) -> str:
    """Both runs, and one line for each thing that differs."""
    heads = [
        Text(f"{letter}  run {run.run_id}  {_utc(run.finished_at)} UTC  {_commit(run)}  {_lwlrap(run)}".rstrip())
        for letter, run in (("a", found.a), ("b", found.b))
    ]
    if not found.differences:
        return _text(*heads, Text("They do not differ in settings, code, inputs, environment, data or LWLRAP."))
    table = _table("kind", "name", "a", "b")
    for one in found.differences:
        values = [f"{float(x):.6f}" if x and one.kind == "lwlrap" else x or "-" for x in (one.a, one.b)]
        table.add_row(one.kind, one.name, *values)
    return _text(*heads, table)


def lineage(found: Lineage) -> str:
    """The tree of assets, then what each was made by and with, what it ran on, and the files."""
    groups: dict[str, list[Materialization]] = {}
    for one in found.materializations:
        groups.setdefault(one.asset, []).append(one)
    edges = _edges(found)
    targets = {one.asset: None for one in found.materializations if one.id in found.targets}
    if found.downstream:
        below: dict[str, list[str]] = {}
        for reader, sources in edges.items():
            for source in sources:
                below.setdefault(source, []).append(reader)
        edges = below
    roots = [asset for asset in targets if not any(asset in others for others in edges.values())] or list(targets)
    seen: set[str] = set()
    trees = [_tree(Tree(_node(root, groups)), root, edges, groups, seen) for root in roots]
    return _text(
        *_results(found),
        *trees,
        *_origins(groups),
        _made(groups),
        _environment(found.materializations),
        _files(found.materializations),
    )


def _edges(found: Lineage) -> dict[str, list[str]]:
    """For each asset the assets it read, among those that were found or come from outside."""
    known = {one.id for one in found.materializations}
    # Downstream is also what read an equal value that another materialization than the target had made.
    values = {(one.asset, one.partition, one.data_version) for one in found.materializations if one.id in found.targets}
    edges: dict[str, list[str]] = {}
    for one in found.materializations:
        for read in one.inputs:
            is_reached = read.source_id in known or (read.asset, read.partition, read.data_version) in values
            own = edges.setdefault(one.asset, [])
            if (is_reached or not found.downstream) and read.asset not in own:
                own.append(read.asset)
    return edges


def _tree(
    tree: Tree, asset: str, edges: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[object]], seen: set[str]
) -> Tree:
    """Add what is next to an asset; what was drawn already is only named."""
    seen.add(asset)
    for other in edges.get(asset, ()):
        if other in seen and edges.get(other):
            tree.add(Text(f"{_node(other, groups)} (above)"))
        else:
            _tree(tree.add(_node(other, groups)), other, edges, groups, seen)
    return tree


def _node(asset: str, groups: Mapping[str, Sequence[object]]) -> Text:
    return Text(asset if asset in groups else f"{asset} (from outside)")


def _results(found: Lineage) -> list[RenderableType]:
    """What the targets found, where they are one value."""
    if len(found.targets) != 1:
        return []
    (target,) = (one for one in found.materializations if one.id in found.targets)
    fold = "" if target.partition is None else f", fold {target.partition}"
    facts = ", ".join(f"{name} {_number(value)}" for name, value in target.metadata.items())
    return [
        Text(f"{target.asset}{fold}, materialization {target.id}, data version {target.data_version}"),
        Text(facts),
    ]


def _origins(groups: Mapping[str, Sequence[Materialization]]) -> list[RenderableType]:
    """The checkpoints, the folds and what was read from outside, in a line each."""
    lines: dict[str, None] = {}
    weights = [(one, "weights", ["sha1", "origin", "trained", "path"]) for one in groups if is_checkpoint(one)]
    labels = ("curated_clips", "labels", ["verdicts", "labels_corrected"])
    for asset, what, names in [*weights, labels, ("folds", "folds", ["origin", "data_version"])]:
        for one in groups.get(asset, ()):
            facts = {**one.metadata, "data_version": one.data_version}
            line = ", ".join(f"{name} {facts[name]}" for name in names if name in facts)
            lines.update({f"{what}: {line}": None} if line else {})
    for made in groups.values():
        for read in (read for one in made for read in one.inputs if read.source_id is None):
            lines[f"from outside: {read.asset}, data_version {read.data_version}"] = None
    return [Text(line) for line in lines]


def _made(groups: Mapping[str, Sequence[Materialization]]) -> Table:
    """One line for each way an asset was made: equal folds share one."""
    table = _table("asset", "folds", "made (UTC)", "run", "code", "data version", "settings")
    for asset, made in groups.items():
        ways: dict[tuple[str, str, str, str], list[Materialization]] = {}
        for one in made:
            settings = [f"{name}={_value(value)}" for name, value in one.settings.items()]
            code = one.code_version.partition(" ")[0]
            way = (one.run_id[:_SHORT], code, one.data_version, " ".join(settings))
            ways.setdefault(way, []).append(one)
        for parts, same in ways.items():
            folds = sorted({one.partition for one in same if one.partition is not None})
            table.add_row(asset, " ".join(folds), _utc(max(one.finished_at for one in same)), *parts)
    return table


def _environment(made: Iterable[Materialization]) -> Table:
    """What it ran on; where materializations differ, every value."""
    table = _table("environment", "")
    facts: dict[str, list[str]] = {}
    for one in made:
        for name, value in one.environment.items():
            values = facts.setdefault(name, [])
            if value is not None and value not in values:
                values.append(value)
    for name, values in facts.items():
        if values:
            table.add_row(name, ", ".join(values))
    return table


def _files(made: Iterable[Materialization]) -> Table:
    table = _table("file, as it was written", "bytes", "sha256")
    for one in made:
        for file in one.files:
            table.add_row(file.path, str(file.size_bytes), file.sha256)
    return table


def encoders(found: Mapping[str, EncoderDefinition | EncoderFamily | str]) -> str:
    """One line for each encoder, or family of them; for one that cannot be imported, why."""
    table = _table("encoder", "state", "rate", "window", "dimension", "weights", "licence: code; weights", "trained on")
    for name, one in found.items():
        if isinstance(one, str):
            table.add_row(name, one)
            continue
        if isinstance(one, EncoderFamily):
            given = ["as given"] * 4
            state = to_install(one) or "installed"
            table.add_row(f"{name}:{one.which}", state, *given, f"{one.licence}; as given", "as given")
            continue
        card = one.card
        table.add_row(
            name,
            to_install(card) or "installed",
            f"{card.sample_rate} Hz",
            f"{card.crop_seconds:g} s",
            str(card.dimension),
            card.weights_size,
            f"{card.code_licence}; {card.weights_licence}",
            ", ".join(card.trained_on),
        )
    return _text(table)


def plain(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as it is, numbers to four decimals, None as a dash."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*("-" if one is None else _number(one) for one in row))
    return _text(table)


def _table(*columns: str) -> Table:
    table = Table(
        box=SIMPLE_HEAD if sys.stdout.isatty() else None, show_edge=False, pad_edge=False, header_style="bold"
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(*parts: RenderableType) -> str:
    """Rendered for standard output: as wide as the terminal, or without any wrapping or styles."""
    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else _PLAIN_WIDTH, highlight=False, markup=False)
    with console.capture() as captured:
        for index, part in enumerate(parts):
            if index and not (isinstance(part, Text) and isinstance(parts[index - 1], Text)):
                console.print()
            console.print(part, soft_wrap=isinstance(part, Text))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _commit(run: Run) -> str:
    return "" if run.git_commit is None else run.git_commit[:_SHORT] + (" + changes" if run.git_dirty else "")


def _lwlrap(run: Run) -> str:
    return ", ".join(f"{scheme} {_number(value)}" for scheme, value in run.lwlrap.items())


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _value(value: str | None) -> str:
    return "none" if value is None else value
