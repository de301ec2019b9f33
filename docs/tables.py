"""The tables in README.md and docs/ that the code knows: settings, checks, the catalog's columns, what tests promise.

`make docs` writes them between ``<!-- table: NAME -->`` and ``<!-- end of table -->``; `make lint` (--check) names those that
are out of date. So no list in the docs can differ from the code, and no test has to compare the two.
"""

import ast
import re
from collections.abc import Collection, Iterable, Sequence
from math import prod
from pathlib import Path

import click

from fa_assets.catalog.schema import as_markdown
from fa_assets.definitions import build_definitions
from fa_assets.settings import Settings, variable_of

CHECKOUT = Path(__file__).resolve().parents[1]
TESTS = CHECKOUT / "fa_assets_tests"
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))
PLACE = re.compile(
    r"^<!-- table: (?P<name>.+) -->\n(?:(?!<!-- table: )(?:.|\n))*?^<!-- end of table -->$", flags=re.MULTILINE
)


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    return "\n".join([f"| {header} |", "|---" * (header.count("|") + 1) + "|", *(f"| {line} |" for line in lines)])


def settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if isinstance(field.default, str | float | int) else ""
        rows.append([f"`--{name.replace('_', '-')}`", f"`{variable_of(name)}`", default, field.description or ""])
    return table("option | variable | default | what", rows)


def checks() -> str:
    """Every asset check, in the order of the graph."""
    defaults = Settings.model_construct(checkpoint="published")  # whatever the environment says
    graph = build_definitions(defaults).resolve_asset_graph()
    assets = graph.toposorted_asset_keys
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    rows = [
        (
            f"`{spec.name}`",
            f"`{spec.asset_key.to_user_string()}`",
            "blocking" if spec.blocking else "warning",
            spec.description or "",
        )
        for spec in sorted(specs, key=lambda spec: (assets.index(spec.asset_key), spec.name))
    ]
    return table("check | asset | kind | what holds", dict.fromkeys(for_any_scheme(row, rows) for row in rows))


def for_any_scheme(row: tuple[str, ...], rows: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """The row with SCHEME for the crop scheme, if every scheme has such a row; else as it is."""
    schemes = (Settings.model_fields["scheme"].default, Settings.model_fields["baseline"].default)
    for scheme in schemes:
        general = tuple(cell.replace(scheme, "SCHEME") for cell in row)
        if general != row and all(tuple(cell.replace("SCHEME", one) for cell in general) in rows for one in schemes):
            return general
    return row


def marks(test: ast.FunctionDef, name: str) -> list[ast.Call]:
    """Its pytest marks of that name."""
    calls = [one for one in test.decorator_list if isinstance(one, ast.Call)]
    return [one for one in calls if ast.unparse(one.func) == f"pytest.mark.{name}"]


def listed(values: ast.expr, module: ast.Module) -> Sequence[object]:
    """What stands in a list, or in that of a constant of the module; nothing where it cannot be told."""
    named: dict[str, ast.expr] = {}
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named |= dict.fromkeys(map(ast.unparse, targets), node.value)
    values = named.get(ast.unparse(values), values)
    if isinstance(values, ast.Dict):
        return values.keys
    return values.elts if isinstance(values, ast.List | ast.Tuple) else ()


def promises() -> dict[str, str]:
    """By group, what tests promise with ``@pytest.mark.promise(SENTENCE, GROUP[, FIGURE])``, which tests do, and how much:
    the figure, or else in how many cases."""
    found: dict[str, dict[str, tuple[list[str], list[str]]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        module = ast.parse(path.read_text())
        for test in (node for node in module.body if isinstance(node, ast.FunctionDef)):
            for mark in marks(test, "promise"):
                sentence, group, *figure = map(ast.literal_eval, mark.args)
                tests, figures = found.setdefault(group, {}).setdefault(sentence, ([], []))
                tests.append(f"`{path.relative_to(TESTS).as_posix()}::{test.name}`")
                n_cases = prod(len(listed(one.args[1], module)) or 1 for one in marks(test, "parametrize"))
                figures += figure or [f"{n_cases} cases"] * (n_cases > 1)
    rows = {
        group: [(sentence, *map(", ".join, columns)) for sentence, columns in some.items()]
        for group, some in found.items()
    }
    return {f"promises, {group}": table("promise | test | figure", some) for group, some in rows.items()}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a table is out of date.")
def main(check: bool) -> None:
    """Write the tables of the docs that the code knows."""
    made = {"settings": settings(), "checks": checks(), "columns": as_markdown().strip(), **promises()}
    placed, stale = set(), []
    for page in PAGES:
        before = text = page.read_text()
        named = page.relative_to(CHECKOUT).as_posix()
        for place in PLACE.finditer(before):
            name = place["name"]
            if name not in made:
                raise click.ClickException(f"{named}: nothing makes a table called {name!r}.")
            placed.add(name)
            current = f"<!-- table: {name} -->\n\n{made[name]}\n\n<!-- end of table -->"
            if place[0] != current:
                stale.append(f"{named}: the table {name!r} is out of date.")
                text = text.replace(place[0], current)
        if text != before and not check:
            page.write_text(text)
    if missing := made.keys() - placed:
        raise click.ClickException(f"No page has a place for the tables {sorted(missing)}.")
    if check and stale:
        raise click.ClickException("\n".join([*stale, "Run `make docs`."]))


if __name__ == "__main__":
    main()
