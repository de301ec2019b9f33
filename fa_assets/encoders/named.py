"""Encoders and their weights as settings name them."""

import os
import shlex
from pathlib import Path

from fa_assets.encoders.registry import asset_prefix, find_encoder, with_absolute_path
from fa_assets.store.download import public_url


def parse_encoders(encoders: str) -> dict[str, str | None]:
    """The encoders that FA_ENCODERS names, the main one first, with the weights that are named beside them.

    Raises:
        ValueError: quotation marks do not match, one is named twice, two share assets, or the main one has weights.
    """
    try:
        words = [word.partition("=") for word in shlex.split(encoders)]
    except ValueError as error:
        raise ValueError(f"FA_ENCODERS cannot be read ({error}): {encoders}") from error
    found = {with_absolute_path(name, Path.cwd()): source or None for name, _, source in words}
    if len({asset_prefix(name) for name in found}) < len(words):
        names = " ".join(name for name, _, _ in words)
        raise ValueError(f"FA_ENCODERS={names!r} names an encoder twice, or two whose assets would have one name")
    if words and words[0][1]:
        name, _, source = words[0]
        raise ValueError(
            f"FA_ENCODERS: the main encoder, {name}, stands without its weights; set FA_CHECKPOINT={source}"
        )
    return found


def weights_source(encoder: str, given: str | None, demo_set: bool) -> str:
    """Where an encoder's weights come from, with its default filled in; a path is made absolute.

    Raises:
        UserError: there is no such encoder.
    """
    source = given or find_encoder(encoder).default_weights(demo_set)
    if source in ("demo", "published") or "://" in source:
        return source
    return str(Path(os.path.expanduser(source)).absolute())  # noqa: PTH111 (for Path.expanduser each user must exist)


def without_secrets(source: str) -> str:
    """A URL without user, password, query and fragment; anything else unchanged."""
    return public_url(source) if "://" in source else source
