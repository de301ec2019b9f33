"""A trial of an encoder: whether it has the properties that the platform relies on, on difficult sounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fa_assets.audio.crops import MC5, cut_crops, distinct_crops
from fa_assets.encoders.base import Encoder
from fa_assets.errors import one_line

SAME = 1e-5
"""Part of the largest value by which embeddings that should be the same may differ: the rounding of float32."""
_TIMED_CLIPS = 8


@dataclass(frozen=True)
class Finding:
    """Something that must hold, and what was found instead; None where it holds."""

    what: str
    breach: str | None


@dataclass(frozen=True)
class Trial:
    """What was found, and the seconds that a clip as long as the window takes."""

    findings: tuple[Finding, ...]
    seconds_per_clip: float

    @property
    def passed(self) -> bool:
        return not any(finding.breach for finding in self.findings)


def try_encoder(encoder: Encoder) -> Trial:
    """Embed silence, full scale, noise, one sample, parts of a window and more than one."""
    samples = encoder.card.crop_samples
    crops = _sounds(samples)
    lengths = {**dict.fromkeys(crops, samples), "one sample": 1, "a third of the window": samples // 3}
    stacked, content = np.stack(list(crops.values())), [lengths[name] for name in crops]
    try:
        tried = "all sounds"
        together = encoder.embed(stacked, content)
        alone = []
        for row, name in enumerate(crops):
            tried = name
            alone.append(encoder.embed(stacked[row : row + 1], content[row : row + 1])[0])
    except Exception as error:  # whatever another package's network raises
        said = one_line(error)
        return Trial((Finding("no error", f"{type(error).__name__} on {tried}: {said}"),), float("nan"))
    shape, wanted = together.shape, (len(crops), encoder.card.dimension)
    if shape != wanted or together.dtype != np.float32:
        said = f"{shape} {together.dtype} instead of {wanted} float32"
        return Trial((Finding("shape and type as the card says", said),), float("nan"))

    def long_clip() -> np.ndarray:
        clip = np.random.default_rng(1).uniform(-0.5, 0.5, int(2.5 * samples)).astype(np.float32)
        starts = [crop.start for crop in distinct_crops(len(clip), MC5, samples)]
        return encoder.embed(cut_crops([clip], starts, samples)[0], [samples] * len(starts))

    largest = np.abs(together).max()
    not_finite = [name for name, vector in zip(crops, together, strict=True) if not np.isfinite(vector).all()]
    findings = [
        Finding("shape and type as the card says", None),
        Finding("finite on every sound", f"NaN or infinite on {', '.join(not_finite)}" if not_finite else None),
        _same("the same twice", together, lambda: encoder.embed(stacked, content)),
        _same("the same alone and in a batch", together, lambda: np.stack(alone)),
        _same("the same in another order", together, lambda: encoder.embed(stacked[::-1].copy(), content[::-1])[::-1]),
        _same("the same without being told the lengths", together, lambda: encoder.embed(stacked)),
        Finding("crops of a longer clip", None if np.isfinite(long_clip()).all() else "NaN or infinite"),
        Finding("different sounds differ", "all alike" if np.ptp(together, axis=0).max() <= SAME * largest else None),
    ]
    if bounds := encoder.card.norm_bounds:
        norms = np.linalg.norm(together, axis=1)
        outside = f"{norms.min():.3g} to {norms.max():.3g}, the card says {bounds[0]:g} to {bounds[1]:g}"
        within = bounds[0] <= norms.min() and norms.max() <= bounds[1]
        findings.append(Finding("norms within the card's bounds", None if within else outside))
    timed = np.repeat(crops["noise"][None], _TIMED_CLIPS, axis=0)
    started = time.perf_counter()
    encoder.embed(timed, [samples] * _TIMED_CLIPS)
    return Trial(tuple(findings), (time.perf_counter() - started) / _TIMED_CLIPS)


def _sounds(samples: int) -> dict[str, np.ndarray]:
    """Crops (samples,) float32, by name; those of `try_encoder`'s shorter lengths have zeros after them."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)
    silence = np.zeros(samples, np.float32)
    one, third = silence.copy(), silence.copy()
    one[0] = 0.5
    third[: samples // 3] = noise[: samples // 3]
    full = np.where(np.arange(samples) // 40 % 2, -1, 1).astype(np.float32)
    return {
        "silence": silence,
        "full scale": full,
        "noise": noise,
        "faint noise": noise * np.float32(1e-5),
        "one sample": one,
        "a third of the window": third,
    }


def _same(what: str, expected: np.ndarray, embed: Callable[[], np.ndarray]) -> Finding:
    apart = np.abs(embed() - expected).max() / max(float(np.abs(expected).max()), np.finfo(np.float32).tiny)
    return Finding(what, None if apart <= SAME else f"{apart:.1e} of the largest value apart, {SAME:.0e} allowed")
