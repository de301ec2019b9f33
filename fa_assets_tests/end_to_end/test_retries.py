"""What may pass by itself is tried again, and nothing else is: in real runs, against a real server and a full device."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import torch

from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.graph import retries
from fa_assets.graph.runner import RunOutcome
from fa_assets.settings import Settings
from fa_assets.store.download import Retries
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.values import ValueStore
from fa_assets_tests.local_server import Answer, Server
from fa_assets_tests.runs import run

DOWN = Answer(status=503)
ASKED_BY_THE_DOWNLOADER = 2


@pytest.fixture(autouse=True)
def nothing_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "WAIT_S", 0.01)
    hasty = Retries(attempts=ASKED_BY_THE_DOWNLOADER, wait_s=0.01)
    monkeypatch.setattr("fa_assets.encoders.weights.DEFAULT_RETRIES", hasty)


def told(run_id: str | None) -> tuple[list[str], int]:
    """What the log of a run says of trying again, and how often Dagster began a step again."""
    assert run_id is not None
    with dg.DagsterInstance.get() as instance:
        entries = instance.all_logs(run_id)
    again = [one for one in entries if one.dagster_event_type is dg.DagsterEventType.STEP_RESTARTED]
    return [one.user_message for one in entries if "(retry " in one.user_message], len(again)


def fetch_from(
    server: Server, settings: Settings, on_warning: Callable[[str], None] = lambda warning: None
) -> RunOutcome:
    changed = settings.model_copy(update={"checkpoint": server.url})
    return run(changed, select="cnn14_checkpoint", on_warning=on_warning)


@pytest.mark.promise(
    "When a server is down for longer than a download waits, its asset is tried again, twice, after half a minute "
    "and a minute; the log says why.",
    "download",
)
def test_a_server_that_is_down_longer_than_the_downloader_waits(
    settings: Settings, serve: Callable[..., Server], demo_checkpoint: Path
) -> None:
    server = serve(*[DOWN] * ASKED_BY_THE_DOWNLOADER, Answer(body=demo_checkpoint.read_bytes()))
    warnings: list[str] = []
    outcome = fetch_from(server, settings, warnings.append)
    assert outcome.failures == ()
    assert len(server.requests) == ASKED_BY_THE_DOWNLOADER + 1
    said, restarts = told(outcome.run_id)
    assert restarts == 1
    (why,) = said
    assert "answers 503" in why and "(retry 1 of 2)" in why
    assert why in warnings


def test_a_server_that_stays_down_is_given_up_with_its_reason(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(DOWN)
    outcome = fetch_from(server, settings)
    (failure,) = outcome.failures
    assert "answers 503" in failure
    assert "Traceback" not in failure
    assert len(server.requests) == ASKED_BY_THE_DOWNLOADER * (1 + retries.RETRIES)
    assert told(outcome.run_id)[1] == retries.RETRIES


@pytest.mark.promise("What a server refuses or serves wrong is not asked for again.", "download")
@pytest.mark.promise("In a run, weights that cannot be had fail with a message and leave the old ones.", "download")
@pytest.mark.parametrize(
    ("answer", "message"),
    [(Answer(status=404), "answers 404"), (Answer(body=b"not weights" * 99), "What .* serves cannot be used")],
)
def test_what_a_server_refuses_or_serves_wrong_is_not_asked_for_again(
    settings: Settings, serve: Callable[..., Server], answer: Answer, message: str
) -> None:
    before = ValueStore(settings.storage_root).read("cnn14_checkpoint").header
    server = serve(answer)
    outcome = fetch_from(server, settings)
    (failure,) = outcome.failures
    assert re.search(message, failure) and server.url in failure and "Traceback" not in failure
    assert len(server.requests) == 1 and told(outcome.run_id)[1] == 0
    assert ValueStore(settings.storage_root).read("cnn14_checkpoint").header == before
    assert {path.suffix for path in (settings.storage_root / "checkpoints").iterdir()} == {".lock"}


class FullDevice:
    """A network on a device that has no room for the first `refusals` batches."""

    def __init__(self, refusals: int) -> None:
        self.left, self.batches = refusals, list[int]()

    def embed(self, crops: torch.Tensor, frames: int) -> torch.Tensor:
        self.batches.append(len(crops))
        self.left -= 1
        if self.left >= 0:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return torch.from_numpy(np.random.default_rng(0).normal(size=(len(crops), 2048)).astype(np.float32))


def embed_on(network: object, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RunOutcome:
    """Embed the centre crops of a fold again, with the encoder around another network."""
    shutil.rmtree(settings.storage_root / "embedding_store")
    encoder = Cnn14Encoder(Path(settings.checkpoint_source), device="cpu")
    monkeypatch.setattr(encoder, "_network", network)
    monkeypatch.setattr("fa_assets.encoders.registry._load", lambda recipe: encoder)
    return run(settings, select="center_embeddings", folds=["0"], force=True)


def test_a_device_that_is_full_for_a_while(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FullDevice(refusals=3)
    outcome = embed_on(network, settings, monkeypatch)
    assert outcome.failures == ()
    said, restarts = told(outcome.run_id)
    assert restarts == 1
    assert any("too little free memory for a single crop" in line for line in said), said
    assert network.batches == [5, 2, 1, 5]  # halved while there is a half, and then begun with the whole batch again
    table = ValueStore(settings.storage_root).read("center_embeddings", "0").table
    assert np.isfinite(embedding_matrix(table["embedding"])).all()


def test_weights_that_find_no_room(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from fa_assets.encoders.cnn14 import network as module

    class Full:
        asked = 0

        def __init__(self, *_: object) -> None:
            Full.asked += 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    shutil.rmtree(settings.storage_root / "embedding_store")
    monkeypatch.setattr(module, "Cnn14Network", Full)
    other = settings.model_copy(update={"batch_size": 3})  # so that no encoder of another test serves
    outcome = run(other, select="center_embeddings", folds=["0"], force=True)
    assert "too little free memory for the weights" in outcome.failures[0]
    assert Full.asked == 1 + retries.RETRIES


def test_a_defect_is_not_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Defect:
        calls = 0

        def embed(self, crops: torch.Tensor, frames: int) -> torch.Tensor:
            self.calls += 1
            raise RuntimeError("a defect")

    network = Defect()
    outcome = embed_on(network, settings, monkeypatch)
    assert "a defect" in outcome.failures[0]
    assert network.calls == 1
    assert told(outcome.run_id)[1] == 0
