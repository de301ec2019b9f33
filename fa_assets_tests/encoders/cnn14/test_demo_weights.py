"""The generated weights are CNN14's, say what they are, come out the same each time, and tell sounds apart."""

import hashlib

import numpy as np
import torch

from benchmarks.reference import SMALLEST_BYTES, reference_model
from fa_assets.encoders.cnn14 import demo_weights as weights
from fa_assets.encoders.cnn14.architecture import AT_32_KHZ, channels_of
from fa_assets.encoders.cnn14.checkpoint import NARROW, read_checkpoint
from fa_assets.encoders.cnn14.demo_weights import GENERATOR, make_demo_checkpoint
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets_tests.finished_run import NARROW_SEED as SEED


def test_at_full_size_the_reference_model_takes_it_and_has_the_same_front_end(full_checkpoint):
    state, marker = read_checkpoint(full_checkpoint)
    assert marker == {"trained": False, "seed": 14, "made_by": GENERATOR}
    assert full_checkpoint.stat().st_size > SMALLEST_BYTES
    model = reference_model()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    assert list(own) == list(state)
    for name in own:
        if name.startswith(("spectrogram", "logmel")):
            assert torch.allclose(own[name], state[name], atol=1e-6), name


def test_same_seed_same_values_and_another_seed_others(demo_checkpoint):
    state, marker = read_checkpoint(demo_checkpoint)
    assert marker == {"trained": False, "seed": SEED, "made_by": GENERATOR, "narrow": NARROW}
    again, other = (weights._random_state(seed, channels_of(NARROW), AT_32_KHZ) for seed in (SEED, SEED + 1))
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert not torch.equal(state["conv_block3.conv1.weight"], other["conv_block3.conv1.weight"])
    assert not np.array_equal(weights._sounds(14), weights._sounds(15))


def test_what_is_there_stays_and_what_is_broken_is_made_again(demo_checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "demo.pth"
    path.write_bytes(demo_checkpoint.read_bytes())
    before = path.stat().st_mtime_ns
    make_demo_checkpoint(path, seed=SEED, narrow=NARROW)
    assert path.stat().st_mtime_ns == before

    state, _ = read_checkpoint(demo_checkpoint)
    monkeypatch.setattr(weights, "_random_state", lambda *_: state)
    path.write_bytes(demo_checkpoint.read_bytes()[:1_000_000])
    make_demo_checkpoint(path, seed=SEED, narrow=NARROW)
    whole = hashlib.sha1(path.read_bytes()).hexdigest()
    assert whole == hashlib.sha1(demo_checkpoint.read_bytes()).hexdigest()
    make_demo_checkpoint(path, seed=SEED + 1, narrow=NARROW)
    assert read_checkpoint(path)[1]["seed"] == SEED + 1
    make_demo_checkpoint(path, seed=SEED, narrow=NARROW)
    assert hashlib.sha1(path.read_bytes()).hexdigest() == whole
    assert {found.name for found in tmp_path.iterdir()} <= {"demo.pth", "demo.pth.lock"}


def test_embeddings_tell_sounds_apart(demo_checkpoint):
    """The nearest neighbour of a noisy, louder, shifted copy of a sound is the sound."""
    random = np.random.default_rng(0)
    sounds = weights._sounds(99)[:12]
    copies = np.roll(sounds, 1_000, axis=1) * 1.2 + 1e-4 * random.standard_normal(sounds.shape).astype(np.float32)
    crops = np.pad(np.concatenate([sounds, copies.astype(np.float32)]), ((0, 0), (0, 320_000 - sounds.shape[1])))
    embeddings = Cnn14Encoder(demo_checkpoint, device="cpu").embed(crops)
    spread = embeddings.std(axis=0)
    assert (spread > 0).mean() > 0.5, "half of the units at least respond"
    scaled = (embeddings - embeddings.mean(axis=0)) / np.maximum(spread, 1e-6)
    distances = np.linalg.norm(scaled[:12, None] - scaled[None, 12:], axis=2)
    assert (distances.argmin(axis=1) == np.arange(12)).mean() >= 0.75
