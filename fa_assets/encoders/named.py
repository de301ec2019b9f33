"""Encoders and their weights as settings name them."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from fa_assets.encoders.registry import find_encoder


def parse_encoders(encoders: str) -> dict[str, str | None]:
    """The encoders that FA_ENCODERS names, the main one first, with the weights that are named beside them.

    Raises:
        ValueError: one is named twice, or the main one with weights.
    """
    words = [word.partition("=") for word in shlex.split(encoders)]
    names = [name for name, _, _ in words]
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise ValueError(f"FA_ENCODERS names {', '.join(twice)} twice: name each encoder once")
    if words and words[0][1]:
        raise ValueError(f"FA_ENCODERS: the weights of {names[0]}, the main encoder, are FA_CHECKPOINT")
    return {name: source or None for name, _, source in words}


def weights_source(encoder: str, given: str | None, demo_set: bool) -> str:
    """Where an encoder's weights come from, with its default filled in; a path is made absolute.

    Raises:
        UserError: there is no such encoder.
    """
    source = given or find_encoder(encoder).default_weights(demo_set)
    if source in ("demo", "published") or "://" in source:
        return source
    return str(Path(source).expanduser().absolute())


def without_secrets(source: str) -> str:
    """A URL without user, password, query and fragment; anything else unchanged."""
    if "://" not in source:
        return source
    parts = urlsplit(source)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))
