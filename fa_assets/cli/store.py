"""The commands of `fa-assets` that keep the embedding store."""

from typing import TYPE_CHECKING, Any

import click

from fa_assets.cli.options import Commands, apply_options, say, storage_options
from fa_assets.errors import UserError
from fa_assets.store.storage_errors import require_there

if TYPE_CHECKING:
    from fa_assets.store.embedding_store import EmbeddingStore


@click.group("store", cls=Commands)
def store_group() -> None:
    """The embedding store: one row per distinct crop that was ever embedded."""


@store_group.command("compact")
@storage_options
@click.option(
    "--grace",
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="How long shards that were merged stay for processes that are reading them.",
)
def store_compact_command(grace: float, **options: Any) -> None:
    """Merge small shards into large ones; safe while others read and write."""
    from fa_assets.store.compaction import compact

    for store in _stores(options):
        done = compact(store, grace_s=60 * grace)
        later = f", {done.kept} go with a compaction after {grace:g} minutes" if done.kept else ""
        say(
            f"{store.fingerprint}: {done.merged} shards merged into {done.into} ({done.rows} rows); "
            f"{done.removed} replaced ones removed{later}."
        )


@store_group.command("verify")
@storage_options
def store_verify_command(**options: Any) -> None:
    """Read every byte of every shard; what is damaged is set aside, and computed again by the next run."""
    from fa_assets.store.compaction import verify

    damaged = 0
    for store in _stores(options):
        found = verify(store)
        damaged += len(found.damaged)
        say(f"{store.fingerprint}: {found.shards} shards read, {len(found.damaged)} damaged.")
        for name, reason in found.damaged:
            say(f"  {name}: {reason}")
    if damaged:
        raise UserError(
            f"{damaged} damaged shards were set aside (*.damaged): the next run computes their crops again."
        )


def _stores(options: dict[str, Any]) -> "list[EmbeddingStore]":
    from fa_assets.store.embedding_store import embedding_stores

    root = apply_options(options).storage_root
    require_there(root)
    stores = embedding_stores(root)
    if not stores:
        say("The embedding store is empty.")
    return stores
