"""Decoding: what is a good clip, and that its samples are those of `librosa.load`."""

import hashlib
import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from fa_assets.audio.crops import cut_crops
from fa_assets.audio.decode import CLIPPED_LEVEL, BadClipError, inspect_clip, load_mono, resampled_length, stream_mono

RATE = 32_000


def write_noise(path: Path, frames: int, rate: int, channels: int = 1, **options: str) -> Path:
    samples = np.random.default_rng(frames + rate).uniform(-0.5, 0.5, (frames, channels))
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize(
    ("name", "frames", "rate", "channels", "options"),
    [
        ("a.wav", 16_001, 8_000, 1, {}),
        ("a.wav", 30_000, 16_000, 2, {"subtype": "PCM_24"}),
        ("a.wav", 70_000, 22_050, 1, {"subtype": "PCM_U8"}),
        ("a.wav", 65_536, 32_000, 2, {}),
        ("a.wav", 441_000, 44_100, 1, {}),  # exactly 10 s: 320,000 samples
        ("a.wav", 441_001, 44_100, 1, {}),
        ("a.wav", 150_000, 44_100, 2, {"subtype": "FLOAT"}),
        ("a.wav", 100_000, 48_000, 9, {}),
        ("a.wav", 96_001, 96_000, 1, {"subtype": "DOUBLE"}),
        ("a.wav", 192_001, 192_000, 2, {}),
        ("a.wav", 160, 8_000, 1, {}),  # 0.02 s
        ("a.wav", 1, 44_100, 1, {}),
        ("a.wav", 1, 192_000, 2, {}),
        ("a.wav", 1_159, 1_159, 1, {}),  # a rate at which librosa's length is one more than the exact ceiling
        ("a.flac", 300_000, 44_100, 2, {}),  # more than one block
        ("a.aiff", 50_000, 48_000, 1, {}),
        ("a.ogg", 300_000, 44_100, 2, {}),
        ("a.mp3", 600_000, 44_100, 1, {}),
    ],
)
def test_equals_librosa(tmp_path: Path, name: str, frames: int, rate: int, channels: int, options: dict) -> None:
    path = write_noise(tmp_path / name, frames, rate, channels, **options)
    info = inspect_clip(path)
    for to in (RATE, 16_000, 48_000):
        expected, _ = librosa.load(path, sr=to, mono=True)
        samples = load_mono(path, to)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, expected)
        assert len(samples) == resampled_length(info.frames, info.sample_rate, to)
    assert (info.sample_rate, info.channels, info.frames) == (rate, channels, frames)
    assert info.seconds == frames / rate
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.promise(
    "What is hashed is what is decoded: a clip that is rewritten meanwhile counts as what it was, or is refused.",
    "kept",
    "4 formats, replaced by rename and in place: 0 stored under another digest",
)
@pytest.mark.parametrize("replaced", ["by rename", "in place"])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_file_that_is_rewritten_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, replaced: str
) -> None:
    path, other = write_noise(tmp_path / name, 300_000, 44_100), write_noise(tmp_path / f"b{name}", 300_001, 44_100)
    before, samples, info = path.read_bytes(), load_mono(path, RATE), inspect_clip(path)
    read = soundfile.SoundFile.read

    def rewriting(sound: soundfile.SoundFile, *args: object, **options: object) -> np.ndarray:
        block = read(sound, *args, **options)
        if replaced == "in place":
            path.write_bytes(other.read_bytes())
        elif other.exists():
            other.rename(path)
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", rewriting)
    for look, expected in ((inspect_clip, info), (partial(load_mono, rate=RATE, sha256=info.sha256), samples)):
        if replaced == "by rename":
            np.testing.assert_equal(look(path), expected)
        else:
            with pytest.raises(BadClipError, match="^its bytes changed while it was read$|^truncated"):
                look(path)
        if replaced == "by rename":
            path.rename(other)
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_a_long_recording_is_read_in_bounded_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with soundfile.SoundFile(path, "w", 8_000, 1) as sound:
        for _ in range(6):
            sound.write(np.resize(np.array([1000, -1000], np.int16), 60 * 8_000))
    tracemalloc.start()
    try:
        seconds = inspect_clip(path).seconds
        _, n_samples = cut_crops(stream_mono(path, RATE), [0, 9_000_000], 10 * RATE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (seconds, n_samples) == (6 * 60, 6 * 60 * RATE)
    assert peak < 30e6 < 4 * n_samples


def test_silence_stays_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(44_100), 44_100)
    np.testing.assert_array_equal(load_mono(tmp_path / "a.wav", RATE), np.zeros(32_000, np.float32))


def test_equals_librosa_on_real_clips(shared_data: Path) -> None:
    clips = sorted((shared_data / "esc10_kaggle" / "test").iterdir())
    assert clips
    for clip in clips:
        expected, _ = librosa.load(clip, sr=RATE, mono=True)
        np.testing.assert_array_equal(load_mono(clip, RATE), expected, err_msg=clip.name)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 192_000])
def test_resampled_length_is_the_exact_ceiling_at_common_rates(rate: int) -> None:
    step = rate // math.gcd(rate, RATE)  # at its multiples the length is whole, where rounding would show
    for frames in [*range(1, 500), *(k * step + d for k in range(1, 2000, 7) for d in (-1, 0, 1))]:
        assert resampled_length(frames, rate, RATE) == -(-frames * RATE // rate)


def test_threads_give_the_same_samples(tmp_path: Path) -> None:
    paths = [write_noise(tmp_path / f"{rate}.wav", 2 * rate, rate) for rate in range(8_000, 48_000, 4_000)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(partial(load_mono, rate=RATE), paths))
    for path, samples in zip(paths, together, strict=True):
        np.testing.assert_array_equal(samples, load_mono(path, RATE))


TRUNCATED = [
    ("a.wav", {}),
    ("a.wav", {"subtype": "FLOAT"}),
    ("a.wav", {"format": "WAVEX", "subtype": "PCM_24"}),
    ("a.wav", {"endian": "BIG"}),
    ("a.wav", {"format": "RF64"}),
    ("a.wav", {"subtype": "IMA_ADPCM"}),
    ("a.w64", {}),
    ("a.aiff", {}),
    ("a.aifc", {"format": "AIFF", "subtype": "FLOAT"}),
    ("a.au", {}),
    ("a.au", {"endian": "LITTLE"}),
    ("a.caf", {}),
    ("a.flac", {}),
    ("a.ogg", {}),
    ("a.ogg", {"subtype": "OPUS"}),
    ("a.mp3", {}),
]


@pytest.mark.parametrize(("name", "options"), TRUNCATED)
def test_truncated(tmp_path: Path, name: str, options: dict) -> None:
    path = write_noise(tmp_path / name, 48_000, 48_000, 2, **options)
    whole = path.read_bytes()
    inspect_clip(path)
    for kept in (len(whole) // 2, int(len(whole) * 0.98), len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(BadClipError, match=r"^truncated|^not audio .*malformed"):
            inspect_clip(path)


def test_truncated_names_the_frames(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.wav", 44_100, 44_100, 2)
    path.write_bytes(path.read_bytes()[: 44 + 4 * 1234 + 3])
    with pytest.raises(BadClipError) as error:
        inspect_clip(path)
    assert str(error.value) == "truncated: the header promises 44100 frames, the file holds 1234"
    path.write_bytes(riff(1000, 0))
    with pytest.raises(BadClipError, match=r"^truncated: the header promises 1000 frames, the file holds 0$"):
        inspect_clip(path)


def riff(data_size: int, held: int, *, riff_size: int | None = None, after: bytes = b"") -> bytes:
    """An 8-bit mono 8 kHz WAV file that promises `data_size` bytes and holds `held`."""
    body = b"WAVEfmt " + bytes.fromhex("10000000 0100 0100 401f0000 401f0000 0100 0800")
    body += b"data" + data_size.to_bytes(4, "little") + bytes(range(100, 200)) * (held // 100) + after
    return b"RIFF" + (len(body) if riff_size is None else riff_size).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    ("content", "frames"),
    [
        pytest.param(riff(0xFFFFFFFF, 1000), 1000, id="ffmpeg to a pipe"),
        pytest.param(riff(0xFFFFFFFF, 1000, riff_size=0xFFFFFFFF), 1000, id="ffmpeg to a pipe, both sizes open"),
        pytest.param(riff(0x7FFFF000, 1000, riff_size=0x7FFFF024), 1000, id="sox to a pipe"),
        pytest.param(riff(0x80000000, 1000, riff_size=0x80000024), 1000, id="arecord to a pipe"),
        pytest.param(riff(1000, 1000, after=b"LIST\x04\0\0\0INFO"), 1000, id="a chunk after the audio"),
        pytest.param(riff(1000, 1000, after=b"LIST\xff\0\0\0INFO"), 1000, id="a cut chunk after the audio"),
        pytest.param(riff(1000, 1000, after=b"\0" * 77), 1000, id="zeros after the audio"),
        pytest.param(riff(1000, 1000, riff_size=5), 1000, id="a wrong size of the file"),
        pytest.param(riff(99 + 100, 200)[:-1], 199, id="odd size without its pad byte"),
    ],
)
def test_whole_files_that_look_odd(tmp_path: Path, content: bytes, frames: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert inspect_clip(path).frames == frames


def test_mp3_that_does_not_state_its_length_is_not_called_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", 44_100, 1, bitrate_mode="CONSTANT", compression_level=0.5) as sound:
        sound.write(np.random.default_rng(0).uniform(-0.5, 0.5, 100_000))
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 4) :])  # without the first frame, which holds the length
    assert inspect_clip(path).frames == pytest.approx(100_000, abs=4_000)


def test_mp3_with_cover_art_still_states_its_length(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp3", 44_100, 44_100)
    content = path.read_bytes()
    tag = b"ID3\x03\0\0" + bytes([0, 0, 2, 44]) + bytes(300)
    path.write_bytes(tag + content)
    info = inspect_clip(path)
    assert (info.frames, info.decoder) == (44_100, None)  # or it would be counted packet by packet, and read by FFmpeg
    path.write_bytes(tag + content[: len(content) // 2])
    with pytest.raises(BadClipError, match=r"^truncated"):
        inspect_clip(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    samples = np.zeros((100_000, 2), np.float32)
    samples[99_999, 1] = bad
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    for read in (inspect_clip, partial(load_mono, rate=RATE)):
        with pytest.raises(BadClipError, match=r"^contains NaN or infinite samples: export it again$"):
            read(tmp_path / "a.wav")


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 44_100)
    for read in (inspect_clip, partial(load_mono, rate=RATE)):
        with pytest.raises(BadClipError, match=r"^holds no samples$"):
            read(tmp_path / "a.wav")


def test_no_file(tmp_path: Path) -> None:
    for read in (inspect_clip, partial(load_mono, rate=RATE)):
        with pytest.raises(BadClipError, match=r"^no such file$"):
            read(tmp_path / "a.wav")
        with pytest.raises(BadClipError, match=r"^not a file$"):
            read(tmp_path)


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.flac", 200_000, 44_100)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    path.write_bytes(content)
    with pytest.raises(BadClipError, match=r"^truncated or damaged: no whole frame after \d\.\d\d s"):
        inspect_clip(path)
    with pytest.raises(BadClipError, match=r"^truncated or damaged"):
        load_mono(path, RATE)


@pytest.mark.promise(
    "Rates from 100 Hz to 1 MHz are read: a header cannot ask for more memory than that.", "input", "1 Hz to 2 GHz"
)
@pytest.mark.parametrize("rate", [1, 99, 1_000_001, 2**31 - 1])
def test_a_rate_that_nothing_is_recorded_at(tmp_path: Path, rate: int) -> None:
    path = write_noise(tmp_path / "a.wav", 1_000, rate)
    for read in (inspect_clip, partial(load_mono, rate=RATE)):
        with pytest.raises(BadClipError, match=f"^a rate of {rate} Hz; 100 to 1000000 Hz are read$"):
            read(path)


@pytest.mark.promise(
    "Lengths up to 4 hours are read: a small file cannot ask for more memory than that.",
    "input",
    "4,000,000 frames at 100 Hz, 11 h",
)
def test_a_small_file_that_unpacks_to_days(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(4_000_000, np.int16), 100)
    assert path.stat().st_size < 20_000
    for read in (inspect_clip, partial(load_mono, rate=RATE)):
        with pytest.raises(BadClipError, match=r"^11\.1 hours long; up to 4 are read: cut it into pieces$"):
            read(path)


def test_a_chunk_that_claims_to_end_beyond_every_file(tmp_path: Path) -> None:
    path = tmp_path / "a.caf"
    soundfile.write(path, np.zeros(600), 44_100)
    content = bytearray(path.read_bytes())
    at = content.index(b"free") if b"free" in content else content.index(b"desc")
    content[at + 4 : at + 12] = (2**63 - 1).to_bytes(8, "big")
    path.write_bytes(content)
    with pytest.raises(BadClipError):
        inspect_clip(path)


def test_levels_are_those_of_the_mixed_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    left, right = np.full(1000, 0.5), np.full(1000, -0.25)
    left[:20], left[20:30] = 1.0, CLIPPED_LEVEL
    soundfile.write(path, np.stack([left, right], axis=1), 32_000, "FLOAT")
    info = inspect_clip(path)
    expected_rms = np.sqrt(np.square((left + right) / 2).mean())
    assert (info.peak, info.rms, info.clipped_share) == pytest.approx((0.375, expected_rms, 30 / 2000))


_TONE = np.sin(np.arange(8_000) / 10)
UNUSABLE = {
    "silence": (np.zeros((8_000, 1)), "^silent: the mean of its channels never exceeds 1e-06 of full scale$"),
    "a value that never changes": (
        np.full((8_000, 1), 2**-12),
        "^silent: the mean of its channels is always 0.00024 of full",
    ),
    "a large value that never changes": (np.full((8_000, 1), 0.5), "^silent: .* is always 0.5 of full scale"),
    "the noise of a decoder": (_TONE[:, None] * 1e-7, "^silent"),
    "channels out of phase": (np.stack([_TONE, -_TONE], axis=1), "^silent: .*; its channels cancel each other"),
    "channels out of phase, of 16 bits": (
        np.floor(np.stack([_TONE, -_TONE], axis=1) * 32_767) / 32_768,
        "^silent: .* 1.5e-05 of full scale; its channels cancel each other",
    ),
    "a flipped bit": (np.where(np.arange(8_000) == 7_000, 1e30, _TONE)[:, None], r"^contains a sample of 1e\+30"),
    "a flipped bit in one channel": (np.stack([_TONE, np.full(8_000, -1e11)], axis=1), r"^contains a sample of 1e\+11"),
}


@pytest.mark.promise("Sound that no network can use is found at the intake: NaN, absurd samples, silence.", "input")
@pytest.mark.parametrize("what", UNUSABLE)
def test_unusable_sound(tmp_path: Path, what: str) -> None:
    samples, reason = UNUSABLE[what]
    soundfile.write(tmp_path / "a.wav", samples, 8_000, "FLOAT")
    with pytest.raises(BadClipError, match=reason):
        inspect_clip(tmp_path / "a.wav")
    if reason.startswith("^silent"):
        assert inspect_clip(tmp_path / "a.wav", may_be_silent=True).frames == 8_000


@pytest.mark.parametrize("level", [2.0**31, 1e-5])
def test_odd_levels_that_are_read(tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "a.wav", _TONE * level, 8_000, "FLOAT")
    assert inspect_clip(tmp_path / "a.wav").peak == pytest.approx(level, rel=0.01)


@pytest.mark.parametrize("size", [5, 6])
def test_a_chunk_of_odd_size_before_the_sound_is_padded(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, _TONE[:600], 32_000)
    content = path.read_bytes()
    at = content.index(b"data")
    noise = b"LIST" + size.to_bytes(4, "little") + b"\x07" * (size + size % 2)
    grown = content[:at] + noise + content[at:]
    riff = grown[:4] + (len(grown) - 8).to_bytes(4, "little") + grown[8:]
    path.write_bytes(riff)
    assert inspect_clip(path).frames == 600
    path.write_bytes(riff[:-100])
    with pytest.raises(BadClipError, match="truncated"):
        inspect_clip(path)
