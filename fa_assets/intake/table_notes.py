"""What is said of tables that give the labels; alike of many tables, once."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from fa_assets.intake.columns import is_row_of_tests, once, says_share, unnamed_columns
from fa_assets.intake.labels import unused_shares
from fa_assets.intake.names import listed
from fa_assets.intake.tables import Table

_MOST = 3
"""Tables that are named one by one."""


def table_notes(
    table: Table, fname: str, clips: Sequence[str | None], missing: Collection[str], classes: Collection[str]
) -> list[str]:
    """What of a table is read in another way than as it stands, or not at all; `clips` are those of its rows."""
    said = [*table.notes]
    if several := [name for name, count in Counter(clips).items() if name and count > 1]:
        said.append(f"{table.path.name}: labels of several rows are joined, of {listed(several)}")
    others = [name for name in once(table, fname) if name not in classes]
    said += unused_shares(table, others, of_one_row=not several)
    if unnamed := unnamed_columns(table):
        said.append(f"{table.path.name}: columns without a name are not used: {listed(unnamed)}")
    for name in (one for one in table.header if says_share(one)):
        shares = zip(table.column(name), table.column(fname), strict=True)
        if tests := sum(is_row_of_tests(name, share) and cell not in missing for share, cell in shares):
            its = f"{tests} rows of test clips are taken as training clips"
            said.append(f"{table.path.name}: the column {name!r} is not used, and {its}")
    if table.uneven:
        its = listed(table.uneven)
        said.append(f"{table.path.name}: left out, since they have not as many cells as the header: {its}")
    return said


def not_used(tables: Sequence[Table], used: Sequence[Table]) -> list[str]:
    """A note on tables that name clips and give no labels; with their folder where one that does is called the same."""
    names = {table.path.name for table in used}
    paths = [table.path for table in tables if not any(table is one for one in used)]
    shown = [f"{path.parent.name}/{path.name}" if path.name in names else path.name for path in paths]
    return [f"not used, though they name clips: {listed(sorted(shown))}; --csv takes one"] if paths else []


def names_of(tables: Iterable[Table]) -> list[str]:
    """The names of tables; of many the first ones, and how many more there are."""
    names = [table.path.name for table in tables]
    return names if len(names) <= _MOST + 1 else [*names[:_MOST], f"... ({len(names)} in all)"]


def of_many(notes: Sequence[str]) -> list[str]:
    """The notes; where more than a few tables have the same one but for what it quotes, the first, and of how many."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(re.sub(r"^\S+: |^\S+(?= is read| has )|'[^']*'|\d+", "", note), []).append(note)
    return [
        said
        for alike in kinds.values()
        for said in (alike if len(alike) <= _MOST else [f"{alike[0]} (so it is with {len(alike) - 1} more tables)"])
    ]
