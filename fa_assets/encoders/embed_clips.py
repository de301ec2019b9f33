"""From clips on disk to one embedding per clip: crops found in the store are reused, the rest is computed in batches.

Each distinct crop of each distinct content goes through the network once. Clips are decoded by threads ahead of the
network, a bounded number at a time, and only their crops are kept. Every batch is in the store before the next one starts,
and what is returned is read from there, some crops at a time: so it is what the next run will read, and memory does not grow
with the number of clips, nor with their length: one that has many crops is decoded again for each `_SAMPLES_AT_ONCE` of them.
The clips' bytes are hashed before and after they are decoded, so an embedding is never stored under the name of other content.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fa_assets.audio.crops import CropScheme, distinct_crops
from fa_assets.audio.decode import BadClipError
from fa_assets.encoders.base import Encoder, EncoderCard, embed_checked
from fa_assets.encoders.clip import Clip
from fa_assets.encoders.decoded import decode_crops
from fa_assets.errors import BadInputError, UserError
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.recipe import Scalar

NOTHING_COMPUTED = "none: every crop was in the store"
"""The device of a materialization that computed nothing."""

NOT_FINITE = "the network gives NaN or infinity for it; leave it out, or try the weights: `fa-assets encoders check`"

_CLIPS_AT_ONCE = 1024
"""Clips whose crops are held in memory at once: 42 MB where each has five crops of 2048 numbers."""

_SAMPLES_AT_ONCE = 32 << 20
"""Samples of crops that a clip is decoded for at a time, 128 MB."""
_SAMPLES_AHEAD = 48 << 20
"""Samples of crops that are decoded ahead of the network."""

_ATTEMPTS = 3
"""How often what was stored is computed again because it cannot be read back."""


Work = tuple[Clip, list[CropKey]]
"""A clip and those of its crops that are to be computed."""

Decode = Callable[[Clip, Sequence[CropKey]], np.ndarray]
"""As `decode_crops`: (clip, keys) -> (len(keys), length) float32; raises BadClipError."""


class Engine(Protocol):
    """What computes crops and puts them into the store: this process (`LocalEngine`), or many on several machines."""

    def compute(
        self, work: Sequence[Work], store: EmbeddingStore, finished: Callable[[Sequence[CropKey]], None]
    ) -> list[str]:
        """Compute and store the crops.

        Args:
            work: the longest crops first, each once; all crops of one rate and length.
            store: where they go, a batch at a time, so that what is finished is never lost.
            finished: called with the crops of each batch once they are stored.

        Returns:
            the clips that cannot be embedded as they are, one line each: name and reason.
        """
        ...

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """What it computed on, for the ledger; says so when everything was reused and nothing computed."""
        ...


@dataclass(frozen=True)
class ClipEmbeddings:
    """The embeddings of some clips under one scheme, and what they cost.

    `vectors` is (clips, d) float32, in the order of the clips; `crops_computed` and `crops_reused` count distinct crops,
    `clips_computed` the clips with any crop that was computed.
    `seconds` is the time until the vectors were there.
    """

    vectors: np.ndarray
    clips_computed: int
    crops_computed: int
    crops_reused: int
    seconds: float


def embed_clips(
    engine: Engine,
    clips: Sequence[Clip],
    scheme: CropScheme,
    store: EmbeddingStore,
    card: EncoderCard,
    *,
    progress: ProgressCallback = no_progress,
) -> ClipEmbeddings:
    """Embed every clip: the weighted mean over the scheme's crops.

    Args:
        engine: computes what the store lacks.
        clips: none gives no vectors.
        scheme: where the crops lie.
        store: where the crops' embeddings are kept, of the same encoder.
        card: the encoder's.
        progress: called with (clips done, clips in all).

    Raises:
        BadInputError: clips whose bytes changed or that no longer decode, all of them named; what was computed is kept.
    """
    started = time.perf_counter()
    if not clips:
        return ClipEmbeddings(np.empty((0, card.dimension), np.float32), 0, 0, 0, 0.0)
    crops_of = _crops_of(clips, scheme, card)
    distinct = {key for crops in crops_of for key, _ in crops}
    computed: set[CropKey] = set()
    missing = store.missing(key for crops in crops_of for key, _ in crops)
    for _ in range(_ATTEMPTS):
        _compute(engine, clips, missing, store, progress)
        computed.update(missing)
        vectors, missing = _weighted_means(crops_of, store)
        if not missing:
            seconds = time.perf_counter() - started
            clips_computed = sum(any(key in computed for key, _ in crops) for crops in crops_of)
            return ClipEmbeddings(vectors, clips_computed, len(computed), len(distinct - computed), seconds)
    raise UserError(
        f"{len(missing)} crops were stored in {store.folder} and cannot be read back: check the disk, and at the files named "
        "*.damaged there."
    )


def _crops_of(clips: Sequence[Clip], scheme: CropScheme, card: EncoderCard) -> list[list[tuple[CropKey, float]]]:
    """The distinct crops of each clip, and their weights."""
    rate, length = card.sample_rate, card.crop_samples
    return [
        [
            (CropKey(clip.content, rate, crop.start, length), crop.weight)
            for crop in distinct_crops(clip.samples_at(rate), scheme, length)
        ]
        for clip in clips
    ]


def _work_of(clips: Sequence[Clip], missing: Sequence[CropKey]) -> list[Work]:
    """The missing crops of the clips, each once, a limited number of a clip's at a time. Crops of equal length share a batch
    without padding, so clips go in order of length, the longest first."""
    missing_of: dict[str, list[CropKey]] = {}
    for key in missing:
        missing_of.setdefault(key.clip_sha256, []).append(key)
    first_of = {clip.content: clip for clip in reversed(clips)}
    at_once = max(_SAMPLES_AT_ONCE // missing[0].length, 1) if missing else 1
    return sorted(
        (
            (first_of[content], keys[start : start + at_once])
            for content, keys in missing_of.items()
            for start in range(0, len(keys), at_once)
        ),
        key=lambda item: -min(item[0].samples_at(item[1][0].rate), item[1][0].length),
    )


class LocalEngine:
    """Embeds in this process: threads decode ahead of the network.

    Args:
        encoder: gives the encoder; only called when there is work.
        threads: how many clips are decoded at once.
        decode: gives a clip's crops.
    """

    def __init__(self, encoder: Callable[[], Encoder], threads: int, decode: Decode = decode_crops) -> None:
        self._encoder = encoder
        self._loaded: Encoder | None = None
        self._threads = threads
        self._decode = decode

    def compute(
        self, work: Sequence[Work], store: EmbeddingStore, finished: Callable[[Sequence[CropKey]], None]
    ) -> list[str]:
        """See `Engine`."""
        network = self._loaded = self._encoder()
        bad: list[str] = []
        not_finite: list[CropKey] = []
        for keys, batch, lengths in _batches(work, network.batch_size, self._threads, self._decode, bad):
            stored, left_out = embed_into(store, network, keys, batch, lengths)
            not_finite += left_out
            finished(stored)
        return bad + clips_not_finite(work, not_finite)

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """See `Engine`."""
        if self._loaded is None:
            return {"engine": "local", "device": NOTHING_COMPUTED}
        facts = ("device", "device_name", "batch_size")
        return {"engine": "local", **{name: getattr(self._loaded, name) for name in facts}}


def embed_into(
    store: EmbeddingStore, encoder: Encoder, keys: Sequence[CropKey], crops: np.ndarray, lengths: Sequence[int]
) -> tuple[list[CropKey], list[CropKey]]:
    """Embed crops and store what is finite: the keys that were stored, and those that were not."""
    embeddings = embed_checked(encoder, crops, lengths)
    finite = np.isfinite(embeddings).all(axis=1)
    stored = [key for key, is_finite in zip(keys, finite, strict=True) if is_finite]
    if stored:
        store.append(stored, embeddings[finite])
    return stored, [key for key, is_finite in zip(keys, finite, strict=True) if not is_finite]


def clips_not_finite(work: Sequence[Work], keys: Sequence[CropKey]) -> list[str]:
    """The clips with crops of which the network made no finite numbers, a line each."""
    of_clips = {key.clip_sha256 for key in keys}
    return [
        f"{fname}: {NOT_FINITE}" for fname in dict.fromkeys(one.fname for one, _ in work if one.content in of_clips)
    ]


def embed_once(clip: Clip, scheme: CropScheme, encoder: Encoder) -> np.ndarray:
    """The embedding of one clip, (d,) float32, as `embed_clips` makes it, without a store.

    Raises:
        BadClipError: it cannot be decoded.
    """
    crops = _crops_of([clip], scheme, encoder.card)[0]
    vectors: dict[CropKey, np.ndarray] = {}
    bad: list[str] = []
    work = _work_of([clip], [key for key, _ in crops])
    for keys, batch, lengths in _batches(work, encoder.batch_size, 1, decode_crops, bad):
        vectors.update(zip(keys, embed_checked(encoder, batch, lengths), strict=True))
    if bad:
        raise BadClipError(bad[0].removeprefix(f"{clip.fname}: "))
    mean = _weighted_mean(crops, vectors)
    if not np.isfinite(mean).all():
        raise BadClipError(NOT_FINITE)
    return mean


def _weighted_mean(crops: Sequence[tuple[CropKey, float]], embeddings: Mapping[CropKey, np.ndarray]) -> np.ndarray:
    mean: np.ndarray = sum(np.float64(weight) * embeddings[key] for key, weight in crops)  # type: ignore[assignment]
    return mean.astype(np.float32)


def _compute(
    engine: Engine,
    clips: Sequence[Clip],
    missing: Sequence[CropKey],
    store: EmbeddingStore,
    progress: ProgressCallback,
) -> None:
    """Put the missing crops of the clips into the store."""
    clips_of = Counter(clip.content for clip in clips)
    work = _work_of(clips, missing)
    to_come = Counter(key.clip_sha256 for key in missing)
    n_done = sum(n for content, n in clips_of.items() if content not in to_come)
    progress(n_done, len(clips))
    if not missing:
        return

    def finished(keys: Sequence[CropKey]) -> None:
        nonlocal n_done
        for key in keys:
            to_come[key.clip_sha256] -= 1
            if to_come[key.clip_sha256] == 0:
                n_done += clips_of[key.clip_sha256]
        progress(n_done, len(clips))

    bad = engine.compute(work, store, finished)
    if bad:
        raise BadInputError(
            "Clips that cannot be embedded as they are now; the others are stored. Fix them and materialize "
            "curated_clips, then this, again.",
            bad,
        )


def _weighted_means(
    crops_of: Sequence[Sequence[tuple[CropKey, float]]], store: EmbeddingStore
) -> tuple[np.ndarray, list[CropKey]]:
    """The weighted mean over each clip's crops, (clips, d) float32, and the crops that turned out to be missing; with any
    of these the means are not complete."""
    vectors = np.empty((0, 0), np.float32)
    missing: list[CropKey] = []
    for start in range(0, len(crops_of), _CLIPS_AT_ONCE):
        some = crops_of[start : start + _CLIPS_AT_ONCE]
        embeddings = store.load(key for crops in some for key, _ in crops)
        for row, crops in enumerate(some, start):
            absent = [key for key, _ in crops if key not in embeddings]
            missing += absent
            if absent:
                continue
            if not vectors.size:
                vectors = np.empty((len(crops_of), len(embeddings[crops[0][0]])), np.float32)
            vectors[row] = _weighted_mean(crops, embeddings)
    return vectors, list(dict.fromkeys(missing))


def _batches(
    work: Sequence[Work], batch_size: int, threads: int, decode: Decode, bad: list[str]
) -> Iterator[tuple[list[CropKey], np.ndarray, list[int]]]:
    """Batches of crops across clips: keys, (n, length) float32 and content lengths; bad clips go into `bad`."""
    keys: list[CropKey] = []
    crops: list[np.ndarray] = []
    lengths: list[int] = []
    for (clip, missing), decoded in _decode_ahead(work, threads, decode):
        try:
            clip_crops = decoded.result()
        except BadClipError as error:
            bad.append(f"{clip.fname}: {error}")
            continue
        for key, crop in zip(missing, clip_crops, strict=True):
            keys.append(key)
            crops.append(crop)
            lengths.append(clip.content_of(key))
            if len(keys) == batch_size:
                yield keys, np.stack(crops), lengths
                keys, crops, lengths = [], [], []
    if keys:
        yield keys, np.stack(crops), lengths


def _decode_ahead(work: Sequence[Work], threads: int, decode: Decode) -> Iterator[tuple[Work, "Future[np.ndarray]"]]:
    """Decode in threads, in order, at most a few clips and `_SAMPLES_AHEAD` ahead of their consumer."""
    waiting: deque[tuple[Work, Future[np.ndarray]]] = deque()
    samples = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for item in work:
                own = sum(key.length for key in item[1])
                while waiting and (len(waiting) > 2 * threads or samples + own > _SAMPLES_AHEAD):
                    samples -= sum(key.length for key in waiting[0][0][1])
                    yield waiting.popleft()
                waiting.append((item, pool.submit(decode, *item)))
                samples += own
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()
