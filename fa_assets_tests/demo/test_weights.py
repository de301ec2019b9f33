"""The generated weights are CNN14's, say what they are, come out the same each time, and tell sounds apart."""

import hashlib

import numpy as np
import pytest
import torch

from fa_assets.demo import weights
from fa_assets.demo.weights import GENERATOR, make_demo_checkpoint
from fa_assets.panns.checkpoint import read_checkpoint
from fa_assets.panns.encoder import Cnn14Encoder
from fa_assets.panns.reference import SMALLEST_BYTES, reference_model


@pytest.fixture(scope="module")
def content(demo_checkpoint):
    return read_checkpoint(demo_checkpoint)


def test_it_says_that_it_is_untrained(content):
    assert content[1] == {"trained": False, "seed": 14, "made_by": GENERATOR}


def test_the_reference_model_takes_it_and_has_the_same_front_end(content, demo_checkpoint):
    model = reference_model()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(content[0])
    assert demo_checkpoint.stat().st_size > SMALLEST_BYTES
    assert list(own) == list(content[0])
    for name in own:
        if name.startswith(("spectrogram", "logmel")):
            assert torch.allclose(own[name], content[0][name], atol=1e-6), name


def test_same_seed_same_values_and_another_seed_others(content, tmp_path):
    state, _ = content
    again = weights._random_state(14)
    assert all(torch.equal(state[name], again[name]) for name in state)
    del again
    assert not np.array_equal(weights._sounds(14), weights._sounds(15))


def test_what_is_there_stays_and_what_is_broken_is_made_again(demo_checkpoint, tmp_path, monkeypatch):
    before = demo_checkpoint.stat().st_mtime_ns
    make_demo_checkpoint(demo_checkpoint)
    assert demo_checkpoint.stat().st_mtime_ns == before

    state, _ = read_checkpoint(demo_checkpoint)
    monkeypatch.setattr(weights, "_random_state", lambda seed: state)
    path = tmp_path / "demo.pth"
    path.write_bytes(demo_checkpoint.read_bytes()[:1_000_000])
    make_demo_checkpoint(path)
    whole = hashlib.sha1(path.read_bytes()).hexdigest()
    make_demo_checkpoint(path, seed=15)
    assert read_checkpoint(path)[1]["seed"] == 15
    make_demo_checkpoint(path)
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
