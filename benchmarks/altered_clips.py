"""At which similarity are near-duplicates found? Clips altered in known ways, and pairs of different recordings."""

import csv
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.embed import clips_of
from fa_assets.audio.crops import SCHEMES
from fa_assets.audio.decode import inspect_clip
from fa_assets.audio.landmarks import Landmarks
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.embed_clips import LocalEngine, embed_clips
from fa_assets.encoders.threads import usable_cpus
from fa_assets.metrics.near_duplicates import directions
from fa_assets.metrics.same_recording import FEWEST_PEAKS, same_recordings
from fa_assets.report.picture import CYCLE, TEXT, VERMILION, Picture, draw
from fa_assets.store.embedding_store import EmbeddingStore

MP3_64_KBIT = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": (320 - 64) / (320 - 32)}
"""libsndfile goes from 320 kbit/s at level 0 to 32 at level 1."""
THRESHOLDS = (0.98, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def _noise(snr_db: float) -> Callable[[np.ndarray, int], np.ndarray]:
    def add(samples: np.ndarray, rate: int) -> np.ndarray:
        noise = np.random.default_rng(0).standard_normal(len(samples))
        return samples + noise * np.sqrt(np.mean(samples**2)) * 10 ** (-snr_db / 20)

    return add


def _middle(samples: np.ndarray, rate: int) -> np.ndarray:
    start = max(0, len(samples) - 3 * rate) // 2
    return samples[start : start + 3 * rate]


def _part(samples: np.ndarray, rate: int) -> np.ndarray:
    return samples[int(0.777 * rate) : int(3.777 * rate)]


ALTERATIONS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "12 dB quieter": lambda samples, rate: samples / 4,
    "noise, 30 dB below": _noise(30),
    "noise, 20 dB below": _noise(20),
    "MP3, 64 kbit/s": lambda samples, rate: samples,
    "first 0.5 s cut off": lambda samples, rate: samples[rate // 2 :],
    "resampled to 22.05 kHz": lambda samples, rate: soxr.resample(soxr.resample(samples, rate, 22_050), 22_050, rate),
    "the middle 3 s": _middle,
    "3 s from 0.777 s on, noise 20 dB below": lambda samples, rate: _noise(20)(_part(samples, rate), rate),
    "0.31 s of silence before": lambda samples, rate: np.concatenate([np.zeros(int(0.31 * rate)), samples]),
}


@dataclass(frozen=True, eq=False)
class Similarities:
    """What was found.

    Attributes:
        altered: float (n,) for each alteration, each clip to its altered copy.
        different: float (pairs,), clips of different recordings, unaltered.
        same_recording: how many pairs were left out of these, as they share a recording.
        heard: bool (n,) for each alteration, whether `same_recordings` finds the pair among all clips and altered copies.
        heard_different, heard_same: the unaltered pairs that it finds, of different recordings and of those left out.
    """

    altered: Mapping[str, np.ndarray]
    different: np.ndarray
    same_recording: int
    heard: Mapping[str, np.ndarray]
    heard_different: int
    heard_same: int


def measure(
    paths: Sequence[Path], encoder: Encoder, scheme: str, alterations: Sequence[str] = tuple(ALTERATIONS)
) -> Similarities:
    """Embed clips and their altered copies as a run would, and compare; each alteration is standardised with the originals."""

    def vectors(files: Sequence[Path]) -> np.ndarray:
        engine = LocalEngine(lambda: encoder, usable_cpus())
        return embed_clips(engine, clips_of(files), SCHEMES[scheme], store, encoder.card).vectors

    altered, heard = {}, {}
    plain = [_landmarks(path) for path in paths]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = EmbeddingStore(folder / "store", "altered")
        originals = vectors(paths)
        for name in alterations:
            copies = [write_altered(path, folder, name) for path in paths]
            unit = directions(np.concatenate([originals, vectors(copies)]))
            altered[name] = (unit[: len(paths)] * unit[len(paths) :]).sum(axis=1)
            found = same_recordings([*plain, *map(_landmarks, copies)])
            heard[name] = np.isin(np.arange(len(paths)), found.first[found.second - found.first == len(paths)])
    unit = directions(originals)
    first, second = np.triu_indices(len(paths), k=1)
    sources = recordings_of(paths)
    shared = np.array([bool(sources[a] & sources[b]) for a, b in zip(first, second, strict=True)])
    pairs = same_recordings(plain)
    same = sum(bool(sources[a] & sources[b]) for a, b in zip(pairs.first, pairs.second, strict=True))
    different = (unit @ unit.T)[first, second][~shared]
    return Similarities(altered, different, int(shared.sum()), heard, len(pairs.first) - same, same)


def _landmarks(path: Path) -> Landmarks:
    found = inspect_clip(path, with_landmarks=True).landmarks
    assert found is not None
    return found


def write_altered(path: Path, folder: Path, name: str) -> Path:
    """An altered copy, 16 bits, or MP3."""
    samples, rate = soundfile.read(path, always_2d=True)
    mono = ALTERATIONS[name](samples.mean(axis=1), rate)
    if name.startswith("MP3"):
        target = folder / f"{path.stem}.mp3"
        soundfile.write(target, mono, rate, **MP3_64_KBIT)
    else:
        target = folder / f"{path.stem}.flac"
        soundfile.write(target, np.clip(mono, -1, 1), rate)
    return target


def recordings_of(paths: Sequence[Path]) -> list[set[str]]:
    """The Freesound recordings that each clip was cut or mixed from, by ESC-50's names (FOLD-RECORDING-TAKE) and the sources in
    provenance.csv; a clip without such a name is its own."""
    provenance = paths[0].parent.parent / "provenance.csv"
    sources = {}
    if provenance.is_file():
        with provenance.open(newline="") as file:
            sources = {row["fname"]: row["sources"] for row in csv.DictReader(file)}
    return [set(re.findall(r"\d-(\d+)-[A-Z]", sources.get(path.name) or path.name)) or {path.name} for path in paths]


def found_at(found: Similarities) -> Mapping[str, list[float]]:
    """The share of the altered clips that is found at each of `THRESHOLDS`, by alteration."""
    return {name: [float((own >= one).mean()) for one in THRESHOLDS] for name, own in found.altered.items()}


def false_pairs(found: Similarities) -> list[int]:
    """Pairs of different recordings at each of `THRESHOLDS`."""
    return [int((found.different >= one).sum()) for one in THRESHOLDS]


def rows_of(found: Similarities) -> list[list[object]]:
    """For a table: an alteration each, and last the pairs of different recordings."""
    shares = found_at(found)
    rows: list[list[object]] = [
        [
            name,
            f"{np.median(own):.3f}",
            f"{np.quantile(own, 0.05):.3f}",
            *(f"{one:.0%}" for one in shares[name]),
            f"{found.heard[name].mean():.1%}",
        ]
        for name, own in found.altered.items()
    ]
    return [
        *rows,
        [
            "pairs of different recordings",
            f"{np.median(found.different):.3f}",
            "",
            *false_pairs(found),
            found.heard_different,
        ],
    ]


COLUMNS = "alteration | similarity, median | 5% are below | " + " | ".join(
    [*(f"found at {one:g}" for one in THRESHOLDS), f"by {FEWEST_PEAKS} peaks"]
)


def picture(shares: Mapping[str, Sequence[float]], pairs: Sequence[int], threshold: float) -> Picture:
    """Altered clips found by threshold, from `found_at`, and pairs of different recordings, from `false_pairs`."""

    def paint(axis, pairs_axis) -> None:  # type: ignore[no-untyped-def]
        for row, (name, own) in enumerate(shares.items()):
            line = "o-" if row < len(CYCLE) else "o:"
            axis.plot(THRESHOLDS, own, line, color=CYCLE[row % len(CYCLE)], markersize=3, label=name)
        axis.set(ylabel="altered clips found", ylim=(-0.02, 1.02), title="Near-duplicates")
        axis.figure.legend(loc="outside lower left", ncols=2)
        pairs_axis.plot(THRESHOLDS, pairs, "o-", color=VERMILION, markersize=3)
        pairs_axis.set(ylabel="pairs", title="Different recordings")
        pairs_axis.yaxis.get_major_locator().set_params(integer=True)
        for one in (axis, pairs_axis):
            one.axvline(threshold, color=TEXT, linestyle="--", linewidth=1)
            one.set(xlabel="threshold")

    alt = f"Altered clips found, by threshold, and pairs of different recordings; the line is at {threshold:g}."
    return draw("Near-duplicates", alt, paint, height=4.4, columns=(3, 2))
