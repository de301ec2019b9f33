"""The encoder equals the reference implementation, clip by clip, whatever the batch, the length and the silence.

Most of it with the narrow network, whose layers and paths are those of CNN14; once in each precision at full size.
"""

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from benchmarks.reference import reference_tagger
from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.cnn14.checkpoint import NARROW
from fa_assets.encoders.cnn14.definition import ENCODER, ENCODER_16K
from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder, _groups
from fa_assets.encoders.cnn14.network import TOTAL_FRAMES, _WinogradBlock, content_frames
from fa_assets.encoders.cnn14.ways import WAYS, chosen
from fa_assets.errors import UserError
from fa_assets_tests.encoders.cnn14.narrow_reference import narrow_reference

CROP = 320_000
PARITY = 1e-5
"""Largest difference allowed in fp32, of the largest reference value."""


@pytest.fixture(scope="module")
def encoder(demo_checkpoint):
    return Cnn14Encoder(demo_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def reference(demo_checkpoint):
    """The published code's network, made narrow, one crop at a time: (n, 320000) -> (n, 2048)."""
    return narrow_reference(demo_checkpoint)


def tone(seconds: float, rate: int, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(samples: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def padded(samples: np.ndarray) -> np.ndarray:
    return np.pad(samples, (0, CROP - len(samples)))


def five_crops(path: Path) -> np.ndarray:
    """A file's five crops as the notebook cuts them, repeated ones once: (n, 320000)."""
    samples, _ = librosa.load(path, sr=32_000, mono=True)
    slack = max(len(samples) - CROP, 0)
    starts = sorted({0, slack // 2, slack, int(0.25 * slack), int(0.75 * slack)})
    return np.stack([padded(samples[start : start + CROP]) for start in starts])


def assert_equal(got: np.ndarray, wanted: np.ndarray, tolerance: float = PARITY, name: str = "") -> None:
    assert got.dtype == np.float32 and got.shape == wanted.shape, name
    assert np.abs(got - wanted).max() <= tolerance * np.abs(wanted).max(), name


def assert_close(got: np.ndarray, wanted: np.ndarray) -> None:
    """As near as bf16 is, and no nearer."""
    cosines = (wanted * got).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(got, axis=1)
    assert (cosines > 0.9998).all() and got.dtype == np.float32
    assert np.abs(wanted - got).max() > 1e-4 * wanted.max()


MADE = {
    "0.02 s": noise(640),
    "one sample": np.ones(1, np.float32),
    "10 s": noise(CROP, 0.3) + tone(10, 32_000),
    "growing": noise(CROP) * np.linspace(0, 1, CROP, dtype=np.float32),
    "high tone": tone(0.7, 32_000, 9_000),
    "pure tone": tone(4, 32_000, 3_080),
    "silence": np.zeros(48_000, np.float32),
}


def test_made_sounds_equal_the_reference(encoder, reference):
    for name, samples in MADE.items():
        crops = padded(samples)[None]
        assert_equal(encoder.embed(crops), reference(crops), name=name)


def test_real_clips_equal_the_reference(encoder, reference, shared_data):
    paths = sorted((shared_data / "esc10_kaggle/train_curated").iterdir())
    for path in paths[:: len(paths) // 3]:
        crops = five_crops(path)[:2]
        assert_equal(encoder.embed(crops), reference(crops))


def test_at_full_size_clips_equal_the_reference(full_checkpoint, shared_data):
    """In both precisions, against the whole of ``panns_inference``, as users call it."""
    recording, *_ = sorted((shared_data / "esc10_kaggle/train_curated").iterdir())
    crops = np.stack([five_crops(recording)[0], padded(MADE["10 s"]), padded(MADE["0.02 s"])])
    tagger = reference_tagger(full_checkpoint)
    wanted = np.concatenate([tagger.inference(crop[None])[1] for crop in crops])
    del tagger
    assert_equal(Cnn14Encoder(full_checkpoint, device="cpu").embed(crops), wanted)
    assert_close(Cnn14Encoder(full_checkpoint, device="cpu", precision="bf16").embed(crops), wanted)


def test_the_narrow_network_takes_the_same_paths(encoder):
    blocks = [number for number, block in enumerate(encoder._network._blocks, 1) if isinstance(block, _WinogradBlock)]
    assert blocks == list(WAYS[chosen()]["fp32"].winograd)


def test_silence_left_out_costs_little(encoder, monkeypatch):
    rows = []
    network = encoder._network
    for kind in {type(block) for block in network._blocks}:
        call = kind.__call__
        monkeypatch.setattr(kind, "__call__", lambda *args, call=call: rows.append(args[1].shape[2]) or call(*args))
    encoder.embed(padded(noise(32_000))[None])
    assert rows[0] < 120 and rows[-1] < 12  # of 1001 and 31


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(0, 2), (1, 2), (128, 2), (129, 3), (32_000, 102), (318_976, 999), (318_977, 1001), (320_000, 1001)],
)
def test_content_frames(samples, frames):
    assert content_frames(samples) == frames


@pytest.mark.parametrize("length", [1, 129, 32_000, 318_976])
def test_frames_beyond_the_content_are_silent(encoder, length):
    network = encoder._network
    silent, heard = (
        network._normalised_log_mel(torch.from_numpy(crop[None]), TOTAL_FRAMES)[0, 0]
        for crop in (np.zeros(CROP, np.float32), padded(np.ones(length, np.float32)))
    )
    differs = (silent != heard).any(dim=1).nonzero().max() + 1
    assert content_frames(length) - 1 <= differs <= content_frames(length)


@pytest.mark.parametrize(
    ("seconds", "batch_size", "most", "spare", "groups"),
    [
        ([], 8, 9999, 256, []),
        ([1, 1, 1], 8, 9999, 0, [[0, 1, 2]]),
        ([1, 1, 1], 2, 9999, 0, [[0, 1], [2]]),
        ([1, 1, 1], 8, 250, 0, [[0, 1], [2]]),
        ([1, 1, 1], 8, 50, 0, [[0], [1], [2]]),
        ([1, 10, 2, 9], 8, 9999, 256, [[1, 3], [2, 0]]),  # 99 and 100 frames of silence
        ([1, 10, 2, 9], 8, 9999, 98, [[1], [3], [2], [0]]),
        ([1, 10, 2, 9], 8, 9999, 9999, [[1, 3, 2, 0]]),
    ],
)
def test_crops_run_together_while_that_wastes_little(seconds, batch_size, most, spare, groups):
    frames = np.array([content_frames(32_000 * second) for second in seconds], dtype=int)
    assert [list(rows) for rows in _groups(frames, batch_size, most, spare)] == groups


class SmallMemory:
    """A network on a device that holds `capacity` crops."""

    def __init__(self, network, capacity: int) -> None:
        self.network, self.capacity = network, capacity
        self.batches: list[int] = []

    def embed(self, crops: torch.Tensor, frames: Sequence[int]) -> torch.Tensor:
        self.batches.append(len(crops))
        if len(crops) > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.network.embed(crops, frames)


def test_out_of_memory_halves_the_batch_and_goes_on(encoder, monkeypatch):
    crops = np.stack([padded(noise(1_000, seed=row)) for row in range(5)])
    wanted = encoder.embed(crops)
    small = SmallMemory(encoder._network, capacity=2)
    monkeypatch.setattr(encoder, "_network", small)
    monkeypatch.setattr(encoder, "batch_size", 16)
    assert_equal(encoder.embed(crops), wanted, 1e-6)
    assert small.batches == [5, 2, 2, 1] and encoder.batch_size == 2
    small.capacity = 0
    with pytest.raises(UserError, match=r"single crop.*--device cpu"):
        encoder.embed(crops)


@pytest.mark.parametrize(
    ("crops", "lengths"),
    [
        (np.zeros((2, 1000), np.float32), None),
        (np.zeros(CROP, np.float32), None),
        (np.zeros((2, CROP)), None),
        (np.zeros((2, CROP), np.float32), [5]),
        (np.ones((1, CROP), np.float32), [CROP - 1]),
    ],
)
def test_wrong_crops_are_refused(encoder, crops, lengths: Sequence[int] | None):
    with pytest.raises(ValueError, match=r"crops|lengths"):
        encoder.embed(crops, lengths)


@pytest.mark.parametrize("ways", WAYS)
def test_bf16_is_close_whichever_way_it_is_computed(encoder, demo_checkpoint, ways, monkeypatch):
    monkeypatch.setenv("FA_CNN14_WAYS", ways)
    rough = Cnn14Encoder(demo_checkpoint, device="cpu", precision="bf16")
    crops = np.stack([padded(noise(12_000)), padded(tone(0.4, 32_000)), np.zeros(CROP, np.float32)])
    assert_close(rough.embed(crops), encoder.embed(crops))
    assert rough.device_name.endswith(f"({ways})")


def test_unknown_ways_are_refused(demo_checkpoint, monkeypatch):
    monkeypatch.setenv("FA_CNN14_WAYS", "sse")
    with pytest.raises(UserError, match="FA_CNN14_WAYS='sse': use one of amx, avx512_bf16"):
        Cnn14Encoder(demo_checkpoint, device="cpu")


def test_attributes(encoder):
    assert (encoder.device, encoder.precision, encoder.card.dimension) == ("cpu", "fp32", 2048)
    assert encoder.device_name and encoder.batch_size >= 1


def test_settings_of_the_process_are_left_alone(encoder):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        encoder.embed(np.zeros((1, CROP), np.float32))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert torch.backends.cudnn.allow_tf32 == before[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"device": "tpu"}, "Unknown device 'tpu': use auto, cpu, cuda"),
        ({"precision": "fp16"}, "Unknown precision 'fp16' for encoder cnn14: use one of fp32, bf16"),
        ({"batch_size": 0}, "Batch size 0"),
    ],
)
def test_unknown_settings_are_refused_before_anything_is_read(more, message):
    with pytest.raises(UserError, match=message):
        Cnn14Encoder(Path("nowhere.pth"), **more)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("precision", "least_cosine"), [("fp32", 0.9999999), ("bf16", 0.9998)])
def test_cuda_equals_cpu(encoder, demo_checkpoint, precision, least_cosine):
    crops = np.stack([padded(noise(length, seed=length)) for length in (640, 100_000, 250_000, CROP)])
    on_gpu = Cnn14Encoder(demo_checkpoint, device="cuda", precision=precision).embed(crops)
    on_cpu = encoder.embed(crops)
    cosines = (on_gpu * on_cpu).sum(1) / np.linalg.norm(on_gpu, axis=1) / np.linalg.norm(on_cpu, axis=1)
    assert (cosines >= least_cosine - 1e-7).all()


def test_fingerprints_are_those_of_stored_embeddings():
    """Written down by the version before there were other encoders."""
    assert ENCODER.fingerprint("a" * 40, "fp32") == "c66744366da85ffb"
    assert ENCODER.fingerprint("b" * 40, "fp32") != "c66744366da85ffb"


def test_in_bf16_the_fingerprint_is_of_the_way_it_is_computed(monkeypatch):
    found = {}
    for ways in WAYS:
        monkeypatch.setenv("FA_CNN14_WAYS", ways)
        assert ENCODER.fingerprint("a" * 40, "fp32") == "c66744366da85ffb"
        found.setdefault(WAYS[ways]["bf16"].fingerprint, set()).add(ENCODER.fingerprint("a" * 40, "bf16"))
    assert len(found) > 1 and all(len(same) == 1 for same in found.values())
    assert len(set.union(*found.values())) == len(found)


def test_the_network_for_16_khz_equals_its_reference_and_has_weights_of_its_own(demo_checkpoint, tmp_path):
    weights = tmp_path / "16k.pth"
    make_demo_checkpoint(weights, ENCODER_16K, narrow=NARROW)
    encoder = ENCODER_16K.load(weights, device="cpu", precision="fp32", batch_size=None)
    lengths = [160_000, 159_600, 80_000, 511, 1, 0]
    crops = np.zeros((len(lengths), 160_000), np.float32)
    for row, length in enumerate(lengths):
        crops[row, :length] = noise(length, seed=row)
    expected = narrow_reference(weights, ENCODER_16K)(crops)
    for found in (encoder.embed(crops, lengths), encoder.embed(crops[::-1].copy())[::-1]):
        np.testing.assert_allclose(found, expected, rtol=0, atol=PARITY * np.abs(expected).max())
    for definition, others in ((ENCODER, weights), (ENCODER_16K, demo_checkpoint)):
        with pytest.raises(CheckpointError, match="of another shape"):
            definition.check_weights(others)
