"""What is wrong with an encoder is one clear line, for any of them, and nothing is stored."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.registry import find_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.settings import Settings, load_settings, variable_of
from fa_assets.store.source_files import Limits
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.extras import needs
from fa_assets_tests.encoders.networks import make_network
from fa_assets_tests.encoders.test_transformers import COMMIT, ast
from fa_assets_tests.small_dataset import make_small_dataset

pytestmark = [needs("onnx"), needs("onnxruntime"), needs("transformers"), needs("ai_edge_litert")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, demo_checkpoint: Path) -> Path:
    """A dataset, and weights of several encoders."""
    place = tmp_path_factory.mktemp("place")
    make_small_dataset(place / "dataset")
    shutil.copy(demo_checkpoint, place / "cnn14.pth")
    make_network(place / "small.onnx")
    make_network(place / "wrong.onnx", dimension=13)
    (place / "text.pth").write_text("no weights")
    for part in ast():
        part.save_pretrained(place / "ast")
    return place


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test before may have left in the environment of this process."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_of(name), raising=False)


@pytest.mark.parametrize("encoder", ["cnn14", "birdnet", "onnx:small.onnx", "transformers:ast"])
@pytest.mark.parametrize("given", ["cnn14.pth", "small.onnx", "ast", "text.pth", "gone"])
def test_weights_of_another_encoder_are_refused(
    place: Path, encoder: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    definition = find_encoder(encoder)
    if given.partition(".")[0] in encoder:
        assert resolve_weights(definition, given, place).path == place / given
        return
    with pytest.raises(CheckpointError) as caught:
        resolve_weights(definition, given, place)
    assert str(place / given) in str(caught.value) and "\n" not in str(caught.value)
    assert "checkpoint" in str(caught.value) or "safetensors" in str(caught.value) or "onnx" in str(caught.value)


def zip_bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("0", "1"):
            archive.writestr(f"weights/data/{name}", bytes(600_000))
    return path


def sparse(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.truncate(path, 20_000_000_000)
    return path


@pytest.mark.promise(
    "Weights that are, or would unpack to, more than FA_MAX_WEIGHTS_GB are refused before they are read.",
    "download",
    "4 encoders, a file of 20 GB; a zip bomb",
)
def test_weights_beyond_the_limit_are_not_read(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    shutil.copytree(place / "ast", tmp_path / "large")
    sparse(tmp_path / "large" / "more.safetensors")
    for given, encoder, limit in (
        (zip_bomb(tmp_path / "bomb.pth"), "cnn14", 1_000_000),
        (sparse(tmp_path / "x.pth"), "cnn14", 2_000_000_000),
        (sparse(tmp_path / "x.tflite"), "birdnet", 2_000_000_000),
        (sparse(tmp_path / "x.onnx"), "onnx:small.onnx", 2_000_000_000),
        (tmp_path / "large", "transformers:ast", 2_000_000_000),
    ):
        definition = find_encoder(encoder)
        monkeypatch.setattr(definition, "check_weights", None)
        size = "20" if limit > 1_000_000 else r"0\.0012"
        with pytest.raises(
            CheckpointError, match=rf"{size} GB unpacked, more than [\d.]+, the limit \(FA_MAX_WEIGHTS_GB"
        ):
            resolve_weights(definition, str(given), place, limits=Limits(weights_bytes=limit))


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fa_assets.encoders.base.find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("options", "before", "message"),
    [
        (
            {"encoder": "vggish"},
            None,
            "Unknown encoder 'vggish': there is birdnet, cnn14, cnn14_16k, onnx, transformers",
        ),
        ({"encoder": "cnn14:ast"}, None, "Unknown encoder 'cnn14:"),
        ({"encoder": "onnx"}, None, "say which one, onnx:FILE"),
        ({"encoders": "cnn14 'birdnet"}, None, "--encoders cannot be read (No closing quotation)"),
        (
            {"checkpoint": "text.pth", "encoders": "cnn14 birdnet=small.onnx"},
            None,
            "Failed: birdnet/birdnet_checkpoint: ",
        ),
        ({"encoder": "onnx:small.onnx"}, nothing_installed, "pip install 'fa_assets[onnx]'"),
        ({"encoder": "transformers:ast"}, nothing_installed, "pip install 'fa_assets[transformers]'"),
        ({"encoder": "birdnet", "checkpoint": "small.onnx"}, nothing_installed, "pip install 'fa_assets[birdnet]'"),
        ({"encoder": "transformers:owner/name"}, None, "has to be pinned to a commit"),
        ({"encoder": f"onnx:owner/name@{COMMIT}"}, None, "needs a card beside it"),
        ({"encoder": "onnx:small.onnx", "checkpoint": "gone.onnx"}, None, "gone.onnx: no such file"),
        ({"encoder": "birdnet", "checkpoint": "text.pth"}, None, "not a network that LiteRT reads"),
        ({"encoder": "cnn14", "checkpoint": "small.onnx"}, None, "small.onnx: not a readable checkpoint"),
        ({"encoder": "onnx:wrong.onnx"}, None, "wrong.json makes it float with 13 numbers"),
    ],
)
def test_a_run_says_it_in_one_line_and_stores_nothing(
    place: Path,
    tmp_path: Path,
    options: dict[str, str],
    before: Callable[[pytest.MonkeyPatch], None] | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(place)
    if before:
        before(monkeypatch)
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    folders = ("--dataset", str(place / "dataset"), "--storage", str(tmp_path / "storage"))
    done = fa_assets("run", "--select", 'key:"*_checkpoint"', *folders, *arguments)
    assert done.exit_code == 1
    assert [line for line in done.stderr.splitlines() if message in line], done.stdout + done.stderr
    assert not (tmp_path / "storage" / "embedding_store").exists()
    assert not list((tmp_path / "storage").glob("values/*_checkpoint/*"))


def test_a_relative_name_is_the_same_encoder_from_any_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert load_settings(encoder="onnx:small.onnx").encoder == f"onnx:{place / 'small.onnx'}"
    assert load_settings(encoder="transformers:ast").checkpoint_source == str(place / "ast")
    hub = f"transformers:owner/name@{COMMIT}"
    assert load_settings(encoder=hub).encoder == hub
