"""A checkpoint is a whole CNN14 and nothing else, and reading one runs nothing."""

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from fa_assets.encoders.base import CheckpointError, WeightsFile
from fa_assets.encoders.cnn14 import checkpoint
from fa_assets.encoders.cnn14.checkpoint import load_state_dict
from fa_assets.encoders.cnn14.definition import ENCODER, Cnn14
from fa_assets.encoders.weights import resolve_weights
from fa_assets.store.download import DownloadError
from fa_assets_tests.local_server import Answer


def digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("zipped", [True, False])
def test_both_file_formats_of_torch_are_read(tmp_path, small_state, zipped):
    path = tmp_path / "weights.pth"
    sampler = {"indexes": np.arange(5), "pointer": 3}
    torch.save({"model": small_state, "sampler": sampler}, path, _use_new_zipfile_serialization=zipped)
    loaded = load_state_dict(path)
    assert list(loaded) == list(small_state)
    name = "spectrogram_extractor.stft.conv_real.weight"
    assert torch.equal(loaded[name], small_state[name])


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def cnn10(state):
    kept = {key: value for key, value in state.items() if not key.startswith(("conv_block5", "conv_block6"))}
    return {**kept, "conv_block1.conv2.weight": torch.zeros(64, 64, 5, 5), "fc1.weight": torch.zeros(512, 512)}


def put(name, value):
    def change(state):
        tensor = state[name].clone()
        tensor.view(-1)[0] = value
        return {**state, name: tensor}

    return change


def wide_mel(state):
    return {**state, "logmel_extractor.melW": torch.ones(513, 64)}


def other_window(state):
    name = "spectrogram_extractor.stft.conv_real.weight"
    return {**state, name: state[name] * 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: without(state, "fc1.bias"), r"1 missing \(fc1\.bias\)"),
        (lambda state: {**state, "extra": torch.zeros(1)}, r"1 unexpected \(extra\)"),
        (
            lambda state: {**state, "fc1.bias": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])},
            r"fc1\.bias \('nested',\) instead of \(2048,\)|not a readable checkpoint",
        ),
        (lambda state: {**state, "fc1.bias": "text"}, r"fc1\.bias \('not a tensor',\) instead of \(2048,\)"),
        (
            lambda state: {**state, "fc_audioset.bias": torch.zeros(50)},
            r"fc_audioset\.bias \(50,\) instead of \(527,\)",
        ),
        (cnn10, r"24 missing \(.*\.\.\. and 20 more\).*2 of another shape"),
        (put("fc1.bias", float("nan")), r"1 not finite \(fc1\.bias\)"),
        (put("fc1.weight", float("inf")), r"1 not finite \(fc1\.weight\)"),
        (put("bn0.running_var", -1.0), r"1 negative \(bn0\.running_var\)"),
        (wide_mel, "span 0 to 16000 Hz"),
        (other_window, "Hann"),
    ],
)
def test_other_networks_are_refused(tmp_path, small_state, change, message):
    path = tmp_path / "weights.pth"
    torch.save({"model": change(small_state)}, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_state_dict(path)
    assert str(path) in str(caught.value) and "--checkpoint" in str(caught.value)


@pytest.mark.promise(
    "Only dense tensors of real numbers are read from a weights file, tested for finite values as float32.", "download"
)
@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        ("fc1.weight", lambda t: t.to(torch.complex64), "complex64"),
        ("fc1.weight", lambda t: t.to_sparse(), "sparse_coo on cpu"),
        ("fc1.weight", lambda t: t.to_sparse_csr(), "sparse_csr on cpu"),
        ("fc1.weight", lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "qint8"),
        ("fc1.weight", lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        ("fc1.weight", lambda t: t.to("meta"), "strided on meta"),
        ("fc1.weight", lambda t: t.to(torch.int64), "int64"),
        ("bn0.running_var", lambda t: t > 0, "bool"),
        ("fc1.bias", lambda t: t.numpy(), "ndarray"),
        ("bn0.num_batches_tracked", lambda t: t.to(torch.complex64), "complex64"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_other_kinds_of_tensors_are_named(tmp_path, small_state, name, change, kind):
    path = tmp_path / "weights.pth"
    torch.save({"model": {**small_state, name: change(small_state[name])}}, path)
    with pytest.raises(CheckpointError, match=f"of a kind that is not read .{name}: {kind}|not a readable checkpoint"):
        load_state_dict(path)


def test_other_precisions_become_float32_before_they_are_judged(tmp_path, small_state):
    path = tmp_path / "weights.pth"
    some = ("fc1", "bn0", "logmel", "spectrogram")
    doubles = {
        name: one.double() if name.startswith(some) and one.is_floating_point() else one
        for name, one in small_state.items()
    }
    torch.save({"model": doubles}, path)
    loaded = load_state_dict(path)
    assert all(loaded[name].dtype == one.dtype for name, one in small_state.items())
    assert all(torch.equal(loaded[name], one) for name, one in small_state.items() if name.startswith(some))
    torch.save({"model": {**doubles, "fc1.bias": doubles["fc1.bias"] + 1e300}}, path)
    with pytest.raises(CheckpointError, match=r"1 not finite \(fc1\.bias\)"):
        load_state_dict(path)


def test_parameters_are_read_as_the_tensors_they_are(tmp_path, small_state):
    path = tmp_path / "weights.pth"
    parameters = {
        name: torch.nn.Parameter(one) if one.is_floating_point() else one for name, one in small_state.items()
    }
    torch.save({"model": parameters, checkpoint.MARKER: {"narrow": torch.zeros(3), "seed": [1]}}, path)
    for name, value in load_state_dict(path).items():
        assert torch.equal(value, small_state[name]) and not value.requires_grad


def test_too_little_memory_is_no_fault_of_the_file(tmp_path, small_checkpoint, monkeypatch):
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ):
        monkeypatch.setattr(torch, "load", mock.Mock(side_effect=error))
        with pytest.raises(CheckpointError, match="not enough memory"):
            load_state_dict(small_checkpoint)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"PK\x03\x04 and no more", pickle.dumps({"model": {}}, protocol=2), bytes(10_000)],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.pth: not a"):
        load_state_dict(path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"model": [1]}, torch.zeros(3), {"state_dict": {}}])
def test_other_contents_are_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="not in the published format"):
        load_state_dict(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_truncated_file_is_refused(tmp_path, small_checkpoint, keep):
    whole = small_checkpoint.read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_state_dict(path)


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.promise("Nothing in a weights file is executed.", "download", "3 file formats")
@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_hostile_pickle_does_not_run(tmp_path, small_state, form):
    marker, path = tmp_path / "it-ran", tmp_path / "weights.pth"
    content = {"model": small_state, "fa_assets": Hostile(marker)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps({"model": Hostile(marker)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_state_dict(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Hostile(marker)))  # read carelessly, it does run
    assert marker.exists()


def test_path_is_used_where_it_lies(tmp_path, small_checkpoint):
    found = resolve_weights(ENCODER, str(small_checkpoint), tmp_path / "kept")
    assert found.path == small_checkpoint and found.origin == str(small_checkpoint)
    assert (found.size_bytes, found.sha1) == (small_checkpoint.stat().st_size, digest(small_checkpoint))
    assert found.trained
    assert not (tmp_path / "kept").exists()


def test_published_is_fetched_once_and_checked_each_time(serve, tmp_path, small_checkpoint):
    body = small_checkpoint.read_bytes()
    server = serve(Answer(body=body))
    published = WeightsFile(server.url, "Cnn14.pth", len(body), digest(small_checkpoint))
    served = Cnn14()
    served.card = replace(served.card, weights=published)
    found = resolve_weights(served, "published", tmp_path)
    assert (found.path, found.origin, found.sha1) == (tmp_path / "Cnn14.pth", server.url, published.sha1)
    assert found.trained
    assert resolve_weights(served, "published", tmp_path) == found
    assert len(server.requests) == 1
    found.path.write_bytes(b"!" + body[1:])
    assert resolve_weights(served, "published", tmp_path) == found
    assert len(server.requests) == 2 and found.path.read_bytes() == body


@pytest.mark.promise(
    "No token, password or key is recorded or shown: not in storage, the Dagster instance, the output, or a message.",
    "input",
)
def test_url_is_fetched_once_and_its_secrets_are_not_recorded(serve, tmp_path, small_checkpoint):
    server = serve(Answer(body=small_checkpoint.read_bytes()))
    url = server.url.replace("http://", "http://me:secret@") + "?token=secret"
    found = resolve_weights(ENCODER, url, tmp_path / "kept")
    assert found.origin == server.url and found.sha1 == digest(small_checkpoint)
    assert found.path.parent == tmp_path / "kept" and "secret" not in found.path.name
    assert resolve_weights(ENCODER, url, tmp_path / "kept") == found and len(server.requests) == 1


def test_url_that_serves_something_else_leaves_no_file(serve, tmp_path):
    server = serve(Answer(body=b"<html>please log in</html>"))
    with pytest.raises(CheckpointError, match="serves cannot be used"):
        resolve_weights(ENCODER, server.url, tmp_path)
    assert not list(tmp_path.glob("*.pth"))
    with pytest.raises(DownloadError, match="404"):
        resolve_weights(ENCODER, serve(Answer(status=404)).url, tmp_path)


@pytest.mark.parametrize(
    "source",
    ["nowhere.pth", "s3://me:secret@bucket/x.pth", ".", "", "a\0b", "x" * 5000, "circle.pth", "~no-such-user/x.pth"],
)
def test_unusable_sources(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    Path("circle.pth").symlink_to("circle.pth")
    with pytest.raises(CheckpointError, match="--checkpoint") as caught:
        resolve_weights(ENCODER, source, tmp_path)
    assert "secret" not in str(caught.value)


def test_demo_is_known_to_be_untrained_wherever_it_lies(full_checkpoint, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "demo-cnn14.pth").symlink_to(full_checkpoint)
    made = resolve_weights(ENCODER, "demo", tmp_path / "kept")
    by_path = resolve_weights(ENCODER, str(full_checkpoint), tmp_path)
    assert made.sha1 == by_path.sha1 and not made.trained and not by_path.trained
