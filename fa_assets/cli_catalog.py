"""The commands of `fa-assets` that ask or keep the catalog."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fa_assets.cli_options import apply_options, friendly_errors, setting_options
from fa_assets.errors import UserError

if TYPE_CHECKING:
    from fa_assets.catalog.database import Catalog

_storage_options = setting_options("dataset", "storage")


@click.group("catalog")
def catalog_group() -> None:
    """The DuckDB catalog: a projection of the ledger that can be deleted and rebuilt."""


@catalog_group.command("sync")
@_storage_options
def catalog_sync_command(**options: Any) -> None:
    """Add what the ledger has and the catalog has not."""
    with friendly_errors():
        click.echo(f"{_catalog(options).sync()} materializations added.")


@catalog_group.command("rebuild")
@_storage_options
def catalog_rebuild_command(**options: Any) -> None:
    """Make the catalog anew from the ledger and the stored values."""
    with friendly_errors():
        click.echo(f"Made anew from {_catalog(options).rebuild()} materializations.")


@catalog_group.command("snapshot")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_storage_options
def catalog_snapshot_command(file: Path, **options: Any) -> None:
    """Write an up-to-date copy to FILE, which a dashboard may hold open; whoever has the catalog open does not matter."""
    with friendly_errors():
        click.echo(f"{file}: {_catalog(options).snapshot(file)} materializations.")


@click.command("sql")
@click.argument("query")
@_storage_options
def sql_command(query: str, **options: Any) -> None:
    """Run QUERY on the catalog, read-only, and print the rows."""
    with friendly_errors():
        import duckdb

        try:
            frame = _catalog(options).query(query)
        except duckdb.Error as error:
            raise UserError(f"The catalog refused the query: {error}") from error
        click.echo(frame.to_string(index=False))


CATALOG_COMMANDS: tuple[click.Command, ...] = (catalog_group, sql_command)


def _catalog(options: dict[str, Any]) -> "Catalog":
    from fa_assets.resources.recorder import Recorder

    return Recorder(storage=str(apply_options(options).storage_root)).catalog
