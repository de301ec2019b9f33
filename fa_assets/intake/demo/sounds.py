"""Synthetic sounds by class: each class a function of a random generator, a length and a sample rate.

Nothing but numpy, and nothing but the generator is random: the same generator state gives the same samples. Within a
class pitch, pace, envelope and timbre vary; some classes are near others on purpose (Tone and Whistle, Rain and
Noise_burst, Kick and Walk_and_footsteps, Chirp and Siren), so that telling them apart is not trivial.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

Sound = Callable[[np.random.Generator, int, int], np.ndarray]
"""``sound(rng, n, rate)``: (n,) float64 samples at `rate` Hz; the scale is arbitrary, the peak above zero."""


def tone(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """A steady note with a few weak harmonics."""
    f0 = _log_uniform(rng, 400, 1000)
    wave = _harmonics(np.full(n, f0), rate, rng.uniform(0.02, 0.25) ** np.arange(rng.integers(1, 4)))
    return wave * _swell(n, rate, rng.uniform(0.01, 0.2)) * (1 + rng.uniform(0, 0.2) * _lfo(rng, n, rate, 0.3, 3))


def whistle(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """A gliding note with vibrato, and breath around it."""
    f0 = _log_uniform(rng, 900, 2200)
    glide = 2 ** (
        rng.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, n) + rng.uniform(0.005, 0.05) * _lfo(rng, n, rate, 4, 8)
    )
    breath = _noise(rng, n, rate, 0.7 * f0, 1.6 * f0)
    return (_harmonics(f0 * glide, rate, [1, 0.08]) + rng.uniform(0.15, 0.35) * breath) * _swell(n, rate, 0.05)


def chirp(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Bird calls: quick sweeps in groups."""
    low = _log_uniform(rng, 1600, 2300)
    width, up = rng.uniform(1.2, 1.8), rng.random() < 0.5
    length = rng.uniform(0.04, 0.16)

    def call(m: int) -> np.ndarray:
        sweep = np.linspace(0, 1, m) if up else np.linspace(1, 0, m)
        return _harmonics(low * width**sweep, rate, [1, 0.15]) * np.hanning(m)

    return _repeated(rng, n, rate, rng.uniform(3, 9), length, call, jitter=0.25, skipped=0.25)


def siren(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """A horn that sweeps up and down, or alternates between two notes."""
    f0 = _log_uniform(rng, 500, 800)
    swing = _lfo(rng, n, rate, 0.3, 2.0)
    if rng.random() < 0.4:
        swing = np.sign(swing)
    return _harmonics(f0 * 2 ** (rng.uniform(0.2, 0.5) * swing), rate, rng.uniform(0.6, 0.85) ** np.arange(8))


def bell(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Strikes of inharmonic partials that ring for a second or more (the ratios of a church bell)."""
    f0 = _log_uniform(rng, 450, 800)
    ratios = np.array([0.5, 1, 1.19, 1.56, 2, 2.66, 3.01, 4.1, 5.43]) * rng.uniform(0.99, 1.01, 9)
    levels = rng.uniform(0.3, 1, 9) / np.arange(1, 10) ** 0.5
    ring = rng.uniform(1.2, 2.5)

    def strike(m: int) -> np.ndarray:
        t = np.arange(m) / rate
        wave = np.zeros(m)
        for ratio, level in zip(ratios, levels, strict=True):
            if f0 * ratio < 0.48 * rate:
                wave += level * np.exp(-t * (1 + ratio) / ring) * np.sin(2 * np.pi * f0 * ratio * t)
        return wave

    return _repeated(rng, n, rate, rng.uniform(0.3, 0.9), 4 * ring, strike, jitter=0.1)


def pluck(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Plucked strings: notes of a scale, the higher harmonics dying first."""
    root = _log_uniform(rng, 110, 200)
    scale = 2 ** (np.array([0, 2, 4, 7, 9, 12, 14]) / 12)
    decay, bright = rng.uniform(1.5, 4), rng.uniform(0.7, 0.85)

    def note(m: int) -> np.ndarray:
        f0 = root * rng.choice(scale)
        t = np.arange(m) / rate
        wave = np.zeros(m)
        for k in range(1, min(14, int(0.48 * rate / f0)) + 1):
            wave += bright**k * np.exp(-t * decay * (0.5 + 0.4 * k)) * np.sin(2 * np.pi * k * f0 * t)
        return wave

    return _repeated(rng, n, rate, rng.uniform(1.2, 4), 1.5, note, jitter=0.05)


def kick(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """A bass drum: a sine that falls quickly to its pitch, with a click."""
    low, drop, decay = rng.uniform(42, 75), rng.uniform(1.5, 4), rng.uniform(8, 22)
    click = rng.uniform(0.02, 0.3)

    def hit(m: int) -> np.ndarray:
        t = np.arange(m) / rate
        body = _harmonics(low * (1 + drop * np.exp(-t * 35)), rate, [1, 0.1]) * np.exp(-t * decay)
        return body + click * _noise(rng, m, rate, 800, 5000) * np.exp(-t * 300)

    return _repeated(rng, n, rate, rng.uniform(1.2, 3), 0.5, hit, jitter=0.02)


def hi_hat(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Short bursts of high noise at a steady pace, some of them open."""
    low = rng.uniform(0.45, 0.7) * min(rate / 2, 11_000)

    def hit(m: int) -> np.ndarray:
        decay = rng.uniform(8, 20) if rng.random() < 0.15 else rng.uniform(35, 90)
        return rng.uniform(0.4, 1) * _noise(rng, m, rate, low, 0.5 * rate) * np.exp(-np.arange(m) / rate * decay)

    return _repeated(rng, n, rate, rng.uniform(3, 8), 0.3, hit, jitter=0.02)


def rain(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Steady hiss with drops in it."""
    hiss = _noise(rng, n, rate, rng.uniform(800, 1500), 0.5 * rate, slope=rng.uniform(-0.4, 0.1))
    drops = np.zeros(n)
    hits = rng.random(n) < rng.uniform(20, 120) / rate
    drops[hits] = rng.exponential(1, int(hits.sum()))
    pitch = rng.uniform(1500, 3500)
    t = np.arange(min(n, rate // 50 + 1)) / rate
    ring = np.exp(-t * 400) * np.sin(2 * np.pi * pitch * t)
    size = 1 << (n + len(t)).bit_length()
    drops = np.fft.irfft(np.fft.rfft(drops, size) * np.fft.rfft(ring, size), size)[:n]
    return hiss * (1 + 0.3 * _lfo(rng, n, rate, 0.05, 0.4)) + rng.uniform(1, 4) * drops


def noise_burst(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Bursts of noise, broad or narrow, with pauses."""
    low = _log_uniform(rng, 150, 500)
    high = min(low * rng.uniform(6, 20), 0.5 * rate)
    length = rng.uniform(0.1, 0.6)

    def burst(m: int) -> np.ndarray:
        return _noise(rng, m, rate, low, high) * _swell(m, rate, 0.01)

    return _repeated(rng, n, rate, 0.6 / length, length, burst, jitter=0.2)


def engine(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """A motor: many harmonics of a low, drifting pitch, and rumble."""
    drift = 2 ** (rng.uniform(0.05, 0.5) * _lfo(rng, n, rate, 0.1, 0.6))
    wave = _harmonics(
        rng.uniform(28, 85) * drift, rate, rng.uniform(0.75, 0.93) ** np.arange(20) * rng.uniform(0.4, 1, 20)
    )
    rumble = _noise(rng, n, rate, 30, rng.uniform(300, 1500), slope=-0.5)
    return wave / np.std(wave) + rng.uniform(0.2, 0.9) * rumble


def footsteps(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Steps: a dull thump and a short scrape, each a little different."""
    thump, scrape = rng.uniform(60, 160), _log_uniform(rng, 700, 1500)
    ground = rng.uniform(0.5, 1.2)

    def step(m: int) -> np.ndarray:
        t = np.arange(m) / rate
        body = np.sin(2 * np.pi * thump * rng.uniform(0.85, 1.15) * t) * np.exp(-t * 40)
        grit = _noise(rng, m, rate, scrape, min(4 * scrape, 0.5 * rate)) * np.exp(-((t - 0.04) ** 2) / 0.001)
        return rng.uniform(0.5, 1) * (body + ground * rng.uniform(0.6, 1.2) * grit)

    return _repeated(rng, n, rate, rng.uniform(1.4, 2.6), 0.25, step, jitter=0.08)


SOUNDS: Mapping[str, Sound] = MappingProxyType(
    {
        "Bell": bell,
        "Chirp": chirp,
        "Engine": engine,
        "Hi-hat": hi_hat,
        "Kick": kick,
        "Noise_burst": noise_burst,
        "Pluck": pluck,
        "Rain": rain,
        "Siren": siren,
        "Tone": tone,
        "Walk_and_footsteps": footsteps,
        "Whistle": whistle,
    }
)
"""The classes of the demo set, sorted by name."""


def background(rng: np.random.Generator, n: int, rate: int) -> np.ndarray:
    """Room noise: (n,) noise whose spectrum falls, by a random slope, with frequency; root mean square 1."""
    return _noise(rng, n, rate, 20, 0.5 * rate, slope=rng.uniform(-1, -0.2))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _lfo(rng: np.random.Generator, n: int, rate: int, low: float, high: float) -> np.ndarray:
    """A slow sine between -1 and 1 of a random frequency from `low` to `high` Hz and a random phase."""
    return np.sin(2 * np.pi * (rng.uniform(low, high) * np.arange(n) / rate + rng.random()))


def _swell(n: int, rate: int, seconds: float) -> np.ndarray:
    """An envelope that fades in and out over `seconds`, or less in a short sound."""
    return np.minimum(1, np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / max(min(seconds * rate, n / 3), 1))


def _harmonics(f0: np.ndarray, rate: int, levels: np.ndarray | list[float]) -> np.ndarray:
    """The sum of the harmonics of a pitch that may change; those above the Nyquist frequency are left out."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    top = float(f0.max())
    wave = np.zeros(len(f0))
    for k, level in enumerate(levels, start=1):
        if k * top < 0.48 * rate:
            wave += level * np.sin(k * phase)
    return wave


def _noise(rng: np.random.Generator, n: int, rate: int, low: float, high: float, slope: float = 0.0) -> np.ndarray:
    """Noise between `low` and `high` Hz, amplitude proportional to frequency ** slope; root mean square about 1."""
    size = 1 << n.bit_length()  # a power of two: other lengths make a slow transform
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    edges = 1 / (1 + (low / np.maximum(frequencies, 1)) ** 6) / (1 + (frequencies / high) ** 12)
    spectrum = np.fft.rfft(rng.standard_normal(size)) * edges * np.maximum(frequencies, 20) ** slope
    wave = np.fft.irfft(spectrum, size)[:n]
    return wave / max(float(np.std(wave)), 1e-9)


def _repeated(
    rng: np.random.Generator,
    n: int,
    rate: int,
    per_second: float,
    seconds: float,
    event: Callable[[int], np.ndarray],
    *,
    jitter: float,
    skipped: float = 0.0,
) -> np.ndarray:
    """Events of up to `seconds`, overlapping where they are longer than the pause; the first is near the start.

    `jitter` is the spread of the onsets as a fraction of the period, `skipped` the share of events left out.
    """
    wave = np.zeros(n)
    period = 1 / per_second
    onset = rng.uniform(0, 0.1 * min(period, n / rate))
    while (start := int(onset * rate)) < n:
        length = min(int(seconds * rate) + 1, n - start)
        if start == 0 or not wave.any() or rng.random() >= skipped:
            wave[start : start + length] += event(length) * _swell(length, rate, 0.002)
        onset += period * (1 + rng.uniform(-jitter, jitter))
    return wave
