"""The commands of `fa-assets` that ask or keep the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fa_assets.cli.options import Commands, apply_options, as_json_option, say, storage_options
from fa_assets.errors import UserError
from fa_assets.store.storage_errors import require_there

if TYPE_CHECKING:
    import duckdb

    from fa_assets.catalog.database import Catalog
    from fa_assets.settings import Settings


@click.group("catalog", cls=Commands)
def catalog_group() -> None:
    """The DuckDB catalog: a projection of the ledger that can be deleted and rebuilt."""


@catalog_group.command("sync")
@storage_options
def catalog_sync_command(**options: Any) -> None:
    """Add what the ledger has and the catalog has not."""
    say(f"{_catalog(options).sync()} materializations added.")


@catalog_group.command("rebuild")
@storage_options
def catalog_rebuild_command(**options: Any) -> None:
    """Rebuild the catalog from the ledger and the stored values."""
    say(f"Rebuilt from {_catalog(options).rebuild()} materializations.")


@catalog_group.command("snapshot")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@storage_options
def catalog_snapshot_command(file: Path, **options: Any) -> None:
    """Write an up-to-date copy to FILE, which a dashboard may hold open, also while the catalog is open elsewhere."""
    say(f"{file}: {_catalog(options).snapshot(file)} materializations.")


@catalog_group.command("schema")
def catalog_schema_command() -> None:
    """Print the tables, views and macros with their columns, as Markdown (docs/catalog.md has them too)."""
    from fa_assets.catalog.schema import as_markdown

    say(as_markdown().rstrip())


@click.command("runs")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the N newest.  [default: all]")
@as_json_option
@storage_options
def runs_command(last: int | None, as_json: bool, **options: Any) -> None:
    """List the runs, newest first: when, what they made, and the LWLRAP they found."""
    from fa_assets.catalog import tracing
    from fa_assets.cli import tables

    with tracing.up_to_date(_catalog(options)) as connection:
        runs = tracing.runs(connection)[:last]
    say(tracing.to_json(runs) if as_json else tables.runs(runs), styled=True)


@click.command("lineage")
@click.argument("target")
@click.option("--downstream", is_flag=True, help="What was made from it, instead of what it was made from.")
@as_json_option
@storage_options
def lineage_command(target: str, downstream: bool, as_json: bool, **options: Any) -> None:
    """Say what TARGET was made from: files, weights, folds, settings, code, libraries, commit.

    TARGET is an asset (mc5_metrics), one fold of it ('mc5_embeddings[3]'), a materialization or a run: its id or the
    beginning of it, 'latest' or 'previous'.
    """
    from fa_assets.catalog import tracing
    from fa_assets.cli import tables

    with tracing.up_to_date(_catalog(options)) as connection:
        found = tracing.lineage(connection, target, downstream)
    say(tracing.to_json(found) if as_json else tables.lineage(found), styled=True)


@click.command("diff")
@click.argument("run_a", metavar="RUN", default="previous")
@click.argument("run_b", metavar="RUN", default="latest")
@as_json_option
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="As a page, to listen to."
)
@storage_options
def diff_command(run_a: str, run_b: str, as_json: bool, page: Path | None, **options: Any) -> None:
    """Say how two runs differ, each with all that it was made from: settings, code, inputs, libraries, data, LWLRAP.

    RUN is a run's id or the beginning of it, 'latest' or 'previous' of those that made metrics; without them, those two.
    """
    from fa_assets.catalog import tracing
    from fa_assets.cli import tables

    with tracing.up_to_date(_catalog(options)) as connection:
        if page is not None:
            _write_page(page, connection, apply_options(options), run_a, run_b)
            return
        found = tracing.differences(connection, run_a, run_b)
    say(tracing.to_json(found) if as_json else tables.differences(found), styled=True)


@click.command("sql")
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@as_json_option
@storage_options
def sql_command(query: str, as_csv: bool, as_json: bool, **options: Any) -> None:
    """Run QUERY on the catalog, read-only, and print the rows."""
    if as_csv and as_json:
        raise UserError("--csv and --json are both given: take one.")
    rows = _catalog(options).query(query)
    if as_csv:
        say(rows.to_csv(index=False).rstrip("\n"))
    elif as_json:
        say(rows.to_json(orient="records", date_format="iso", indent=1, double_precision=15))
    else:
        say(rows.to_string(index=False))


CATALOG_COMMANDS: tuple[click.Command, ...] = (catalog_group, runs_command, lineage_command, diff_command, sql_command)


def _write_page(page: Path, connection: duckdb.DuckDBPyConnection, settings: Settings, run_a: str, run_b: str) -> None:
    from fa_assets.report.compare import comparison_of
    from fa_assets.report.page import render
    from fa_assets.store.atomic import write_file

    html = render(comparison_of(settings.storage_root, settings.layout, connection, run_a, run_b))
    write_file(page, lambda temporary: temporary.write_text(html, encoding="utf-8"))
    say(str(page))


def _catalog(options: dict[str, Any]) -> Catalog:
    from fa_assets.catalog.database import Catalog

    settings = apply_options(options)
    require_there(settings.storage_root)
    return Catalog.of(settings.local_root, settings.storage_root)
