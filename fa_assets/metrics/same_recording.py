"""Which clips hold the same recording, whole or in part? Told by their landmarks (`fa_assets.audio.landmarks`).

Landmarks that two clips share by chance lie at all distances in time, those of one recording at one. So what is counted is
the peaks whose landmarks agree at the same distance, within a frame. Periodic sounds (insects, alarms) share many at several
distances, a period apart: one must have 1.5 times as many as any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fa_assets.audio.landmarks import Landmarks

FEWEST_PEAKS = 5
"""Peaks that agree from which two clips hold the same recording (docs/results.md)."""
_TIMES = 1.5
"""How many times as many agree as at any other distance."""
_NEAR = 3
"""Frames within which two distances are one."""
_PARTS = 64
"""The hashes are compared in so many parts, one after the other."""
_NEIGHBOURS = 16
"""Landmarks of one hash are compared with so many that follow: of many copies, each is compared with the next ones."""


@dataclass(frozen=True, eq=False)
class SameRecording:
    """Pairs of clips: `first` < `second`, their rows, and `peaks`, how many agree; int64 (pairs,), the most first."""

    first: np.ndarray
    second: np.ndarray
    peaks: np.ndarray


def same_recordings(clips: Sequence[Landmarks], fewest: int = FEWEST_PEAKS, known: int = 0) -> SameRecording:
    """The pairs of clips of which at least `fewest` peaks agree; the first `known` are not compared with one another.

    Of several clips that are all alike not every pair is compared, but each with some others, so that they are linked.
    """
    borders = (np.arange(1, _PARTS) << 26).astype(np.uint32)
    ends = np.zeros((len(clips), _PARTS + 1), np.int32)
    for one, own_ends in zip(clips, ends, strict=True):
        own_ends[1:-1], own_ends[-1] = np.searchsorted(one.hashes, borders), len(one.hashes)
    pairs: list[np.ndarray] = [np.empty(0, np.int64)]
    places: list[np.ndarray] = [np.empty(0, np.uint32)]
    for part in range(_PARTS if clips else 0):
        slices = [slice(*of) for of in ends[:, part : part + 2].tolist()]
        own, when = (
            np.concatenate([getattr(one, name)[some] for one, some in zip(clips, slices, strict=True)])
            for name in ("hashes", "frames")
        )
        clip = np.repeat(np.arange(len(clips)), ends[:, part + 1] - ends[:, part])
        by_hash = np.argsort(own, kind="stable")  # within a hash by clip
        own, when, clip = own[by_hash], when[by_hash], clip[by_hash]
        for step in range(1, _NEIGHBOURS + 1):
            same = own[:-step] == own[step:]
            if not same.any():
                break
            agree = np.flatnonzero(same & (clip[:-step] != clip[step:]) & (clip[step:] >= known))
            distance = (
                when[agree + step] - when[agree] + np.uint16(1 << 15)
            )  # modulo 65536, and none next to each other at 0 and 65535
            pairs.append(clip[agree] * len(clips) + clip[agree + step])
            places.append(distance.astype(np.uint32) << 16 | when[agree])
    pair = np.concatenate(pairs)
    del pairs
    found, count = np.unique(pair, return_counts=True)
    enough = found[count >= fewest]  # most pairs have one match, by chance
    kept = np.flatnonzero(np.isin(pair, enough))
    return _counted(pair[kept], np.concatenate(places)[kept], len(clips), fewest)


def _counted(pair: np.ndarray, place: np.ndarray, n: int, fewest: int) -> SameRecording:
    """Pairs out of matches (m,): first clip * n + second clip; distance above, frame in the first clip in the lower 16 bits."""
    order = np.lexsort((place, pair))
    pair, place = pair[order], place[order]
    new = np.ones(len(pair), bool)
    new[1:] = (pair[1:] != pair[:-1]) | (place[1:] != place[:-1])
    # A peak counts once, however many landmarks begin with it.
    pair, distance = pair[new], place[new].astype(np.int64) >> 16
    first = np.ones(len(pair), bool)
    first[1:] = (pair[1:] != pair[:-1]) | (distance[1:] != distance[:-1])
    starts = np.flatnonzero(first)
    count = np.diff(np.append(starts, len(pair)))
    pair, distance = pair[starts], distance[starts]
    beside = np.zeros(len(pair), np.int64)  # the shift may lie between two frames
    beside[:-1] = np.where((pair[1:] == pair[:-1]) & (distance[1:] == distance[:-1] + 1), count[1:], 0)
    found, of = np.unique(pair, return_inverse=True)
    count += beside
    best = np.lexsort((count, of))[np.cumsum(np.bincount(of, minlength=len(found))) - 1]
    peaks = count[best]
    elsewhere = np.where(np.abs(distance - distance[best][of]) > _NEAR, count, 0)
    others = np.zeros(len(found), np.int64)
    np.maximum.at(others, of, elsewhere)
    enough = np.flatnonzero((peaks >= fewest) & (peaks >= _TIMES * others))
    enough = enough[np.argsort(-peaks[enough], kind="stable")]
    return SameRecording(found[enough] // max(n, 1), found[enough] % max(n, 1), peaks[enough])


def first_of_recording(
    pairs: SameRecording, fnames: Sequence[str], known: Sequence[str | None] = ()
) -> list[str | None]:
    """For each clip the first of those that a chain of pairs links it with, itself among them; None for a clip in no pair.
    `known` is what this said of the first clips by themselves; they are linked so, too."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(fnames)
    place = {name: row for row, name in enumerate(fnames)}
    links = [(place[name], row) for row, name in enumerate(known) if name]
    first, second = np.concatenate(
        [np.stack([pairs.first, pairs.second]), np.array(links, np.int64).reshape(-1, 2).T], 1
    )
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    _, of = connected_components(graph, directed=False)
    _, begins, size = np.unique(of, return_index=True, return_counts=True)
    return [fnames[begins[one]] if size[one] > 1 else None for one in of]
