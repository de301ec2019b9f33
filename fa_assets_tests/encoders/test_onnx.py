"""ONNX networks: equal to NumPy, whatever the shape of their input; and what is said of files and cards that cannot be used."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fa_assets.encoders import onnx as ours
from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.registry import asset_prefix, find_encoder
from fa_assets.encoders.trial import try_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.errors import UserError
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.extras import needs
from fa_assets_tests.encoders.networks import embedding_of, make_network

pytestmark = [needs("onnxruntime"), needs("onnx")]


@pytest.mark.parametrize("output", ["frames", "mean"])
@pytest.mark.parametrize("shape", [("n", 16_000), ("n", "samples"), (1, 16_000), (16_000,), ("samples",)])
def test_embeddings_are_those_of_numpy_whatever_the_batch(
    tmp_path: Path, shape: tuple[int | str, ...], output: str
) -> None:
    kernels = make_network(tmp_path / "small.onnx", shape, output=output)
    crops = np.random.default_rng(1).uniform(-0.5, 0.5, (5, 16_000)).astype(np.float32)
    crops[3, 5000:] = 0
    definition = find_encoder(f"onnx:{tmp_path / 'small.onnx'}")
    weights = resolve_weights(definition, definition.default_weights(False), tmp_path)
    encoder = definition.load(weights.path, device="auto", precision="fp32", batch_size=2)
    expected = np.stack([embedding_of(crop, kernels) for crop in crops])
    found = encoder.embed(crops)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * expected.max())
    np.testing.assert_allclose(encoder.embed(crops[3:]), found[3:], rtol=0, atol=1e-6 * expected.max())
    assert try_encoder(encoder).passed and (encoder.device, definition.card.title) == ("cpu", "Small")


def test_the_fingerprint_is_that_of_bytes_and_output_not_of_the_place(tmp_path: Path) -> None:
    prints = []
    for folder, output in (("a", "frames"), ("b", "frames"), ("c", "mean")):
        make_network(tmp_path / folder / "small.onnx", output=output)
        prints.append(find_encoder(f"onnx:{tmp_path / folder / 'small.onnx'}").fingerprint("0" * 40, "fp32"))
    assert prints[0] == prints[1] != prints[2]
    assert asset_prefix(f"onnx:{tmp_path}/Perch v2.onnx") == "onnx_perch_v2"


def test_cuda_is_taken_where_torch_and_onnxruntime_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "resolve_device", lambda device: {"auto": "cuda:1"}.get(device, device))
    assert ours._device("auto") == ours._device("cpu") == "cpu"
    with pytest.raises(UserError, match="pip install onnxruntime-gpu"):
        ours._device("cuda")
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert (ours._device("auto"), ours._device("cuda")) == ("cuda:1", "cuda")
    with pytest.raises(UserError, match="Device mps"):
        ours._device("mps")


def without(name: str) -> Callable[[Path], None]:
    def change(card: Path) -> None:
        card.write_text(json.dumps({key: value for key, value in json.loads(card.read_text()).items() if key != name}))

    return change


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, r"needs a card beside it, with input, output, sample_rate,.*small\.json: no such file"),
        (a_pipe, r"small\.json: not a file"),
        (lambda card: os.truncate(card, 20_000_000_000), r"small\.json: larger than 10 MB, the limit"),
        (lambda card: card.write_text("{"), r"small\.json: not a card .*Invalid JSON"),
        (without("dimension"), "dimension: Field required"),
        (lambda card: make_network(card.with_suffix(".onnx"), rate=8), "rate: Extra inputs are not permitted"),
        (lambda card: make_network(card.with_suffix(".onnx"), sample_rate=0), "0 Hz and 12 numbers cannot be right"),
        (
            lambda card: make_network(card.with_suffix(".onnx"), dimension=10**12),
            "Hz and 1000000000000 numbers cannot be",
        ),
        (
            lambda card: make_network(card.with_suffix(".onnx"), crop_seconds=1e308),
            r"crops of 1e\+308 s at 16000 Hz cannot be",
        ),
    ],
)
def test_a_card_that_cannot_be_used_is_refused(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    make_network(tmp_path / "small.onnx")
    change(tmp_path / "small.json")
    with pytest.raises(UserError, match=message) as caught:
        find_encoder(f"onnx:{tmp_path / 'small.onnx'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dimension": 13}, r"output frames is tensor\(float\) .*makes it float with 13 numbers"),
        ({"crop_seconds": 2}, r"input sound is tensor\(float\) \['n', 16000\].* with 32000 numbers"),
        (
            {"shape": (4, 16_000)},
            r"input sound is tensor\(float\) \[4, 16000\].* \[n, 16000\], \[1, 16000\] or \[16000\]",
        ),
        ({"shape": ("n", 1, 16_000)}, r"input sound is tensor\(float\) \['n', 1, 16000\]"),
        ({"output": "logits"}, "its outputs are frames, mean; small.json names logits"),
        ({"input": "audio"}, "its inputs are sound; small.json names audio"),
        ({"external": True}, "holds all its weights itself"),
    ],
)
def test_a_network_that_is_not_the_cards_is_refused(
    tmp_path: Path, given: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network(tmp_path / "small.onnx", **given)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)  # where weights in other files would be found
    definition = find_encoder("onnx:small.onnx")
    with pytest.raises(CheckpointError, match=message) as caught:
        resolve_weights(definition, definition.default_weights(False), tmp_path)
    assert "\n" not in str(caught.value)


def test_crops_are_not_mixed_where_a_network_gives_others_than_it_took(tmp_path: Path) -> None:
    make_network(tmp_path / "small.onnx", ("n", 24_000), sample_rate=24_000)  # made for 16,000 numbers
    definition = find_encoder(f"onnx:{tmp_path / 'small.onnx'}")
    encoder = definition.load(tmp_path / "small.onnx", device="cpu", precision="fp32", batch_size=4)
    with pytest.raises(UserError, match=r"its output frames is \[6, 98, 12\] for 4 crops"):
        encoder.embed(np.zeros((4, 24_000), np.float32))
    with pytest.raises(UserError, match="fails on 1 crops .*encoders check"):
        encoder.embed(np.zeros((1, 24_000), np.float32))


def test_check_gives_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FA_ENCODERS", "cnn14 birdnet")
    make_network(tmp_path / "my net" / "small.onnx")
    name = f"onnx:{tmp_path / 'my net' / 'small.onnx'}"
    options = ("--storage", str(tmp_path / "storage"))
    done = fa_assets("encoders", "check", name, *options)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, f"{name} passed every check.")
    make_network(tmp_path / "my net" / "small.onnx", dimension=13)
    done = fa_assets("encoders", "check", name, *options)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1) and "13 numbers" in done.stderr
