"""Which crop an embedding is of, as a value and packed into bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

KEY_BYTES = 56
"""A packed key: the 32 bytes of a sha256, then rate, start and length as little-endian int64."""

RATE_UNSAID = 32_000
"""Hz, of crops in shards of versions that knew this rate alone and did not store it."""

_RATE = slice(32, 40)
"""Where the rate lies in a packed key."""


@dataclass(frozen=True)
class CropKey:
    """Which crop: the clip's content (`content_digest`), rate in Hz that it is resampled to, start and length in samples at
    that."""

    clip_sha256: str
    rate: int
    start: int
    length: int


def content_digest(sha256: str, decoder: str | None) -> str:
    """What stands for a clip's content, 64 hex digits: the sha256 of its bytes; together with the decoder that read them, where
    one did whose versions may give other samples (`ClipInfo.decoder`)."""
    return sha256 if decoder is None else hashlib.sha256(f"{sha256} {decoder}".encode()).hexdigest()


def pack_keys(keys: Sequence[CropKey]) -> np.ndarray:
    """Keys as (n, KEY_BYTES) uint8.

    Raises:
        ValueError: a clip_sha256 is not the hex of 32 bytes.
    """
    sha256 = "".join([key.clip_sha256 for key in keys])
    if len(sha256) != 64 * len(keys):
        raise ValueError("a clip_sha256 is not the hex of 32 bytes")
    packed = np.empty((len(keys), KEY_BYTES), np.uint8)
    packed[:, :32] = np.frombuffer(bytes.fromhex(sha256), np.uint8).reshape(-1, 32)
    numbers = np.array([(key.rate, key.start, key.length) for key in keys], "<i8").reshape(-1, 3)
    packed[:, 32:] = numbers.view(np.uint8)
    return packed


def with_rate(rows: np.ndarray) -> np.ndarray:
    """Rows that begin with a packed key without a rate, (n, b) uint8, with `RATE_UNSAID` in its place: (n, b + 8)."""
    rate = np.broadcast_to(np.array([RATE_UNSAID], "<i8").view(np.uint8), (len(rows), 8))
    return np.hstack([rows[:, : _RATE.start], rate, rows[:, _RATE.start :]])


def without_rate(keys: np.ndarray) -> np.ndarray:
    """Packed keys, (n, KEY_BYTES) uint8, without their rate."""
    return np.delete(keys, _RATE, axis=1)
