"""A run that is told to stop, or that downloads over a bad line, in processes and over connections of their own.

Whatever it is doing, a run stops within seconds after SIGTERM or SIGINT: it exits with 130, nothing half-written can be
seen, Dagster does not call it running, its places in the pools are free, and the next run goes on from there.
"""

import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from fa_assets.settings import Settings
from fa_assets.store.atomic import digest_file
from fa_assets.store.download import Retries
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.commands import (
    embed_for_ever,
    fit_for_ever,
    lose_interrupts,
    nothing,
    one_process,
    start,
    wait_for_ever,
)
from fa_assets_tests.end_to_end.test_refresh import crops
from fa_assets_tests.end_to_end.ui_server import wait_for
from fa_assets_tests.local_server import Answer, Server
from fa_assets_tests.runs import run


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Crops are embedded one by one."""
    return settings.model_copy(update={"batch_size": 1})


@one_process
@pytest.mark.promise(
    "SIGTERM and Ctrl-C stop `fa-assets run` within 10 s while it embeds, fits, downloads, waits to retry or for a pool: "
    'exit status 130, earlier values as they were, the run marked as failed ("interrupted"), its places in the '
    "pools free, the next run goes on.",
    "stopped",
    "5 phases, 10 s each at most",
)
@pytest.mark.parametrize(
    ("doing", "number"),
    [
        ("embedding", signal.SIGTERM),
        ("fitting", signal.SIGINT),
        ("downloading", signal.SIGTERM),
        ("waiting", signal.SIGINT),
        ("queueing", signal.SIGTERM),
    ],
)
def test_a_run_that_is_told_to_stop(
    settings: Settings, tmp_path: Path, serve: Callable[..., Server], doing: str, number: signal.Signals
) -> None:
    storage = settings.local_root
    store = storage / "embedding_store"
    shutil.rmtree(store)
    answer = Answer(status=503) if doing == "waiting" else Answer(body=bytes(10_000), length=10**9, stalls=True)
    server = serve(answer)
    begun, output = tmp_path / "begun", tmp_path / "said"
    output.touch()
    cases: dict[str, tuple[str, Callable[[], None], Callable[[], bool]]] = {
        "embedding": ("mc5_embeddings", embed_for_ever, lambda: any(store.glob("**/*.parquet"))),
        "fitting": ("mc5_oof_predictions", partial(fit_for_ever, begun), begun.exists),
        "downloading": ("cnn14_checkpoint", nothing, lambda: bool(server.requests)),
        "waiting": ("cnn14_checkpoint", partial(wait_for_ever, begun), begun.exists),
        "queueing": ("mc5_embeddings", nothing, lambda: "has waited" in output.read_text()),
    }
    select, prepare, has_begun = cases[doing]
    stopped = settings if select != "cnn14_checkpoint" else settings.model_copy(update={"checkpoint": server.url})
    before = {path: digest_file(path) for path in (storage / "values").glob("**/*.parquet")}

    with dg.DagsterInstance.get() as instance:
        other = instance.get_runs(limit=1)[0].run_id
        if doing == "queueing":
            instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
            instance.event_log_storage.claim_concurrency_slot("gpu", other, "center_embeddings")
    process = start(stopped, "run", "--select", select, "--force", output=output, prepare=prepare)
    wait_for("it has begun", lambda: has_begun() or not process.is_alive(), every_s=0.02)
    assert process.is_alive() and process.pid is not None, output.read_text()
    os.kill(process.pid, number)
    process.join(60)  # seconds, with room for a busy machine
    said = output.read_text()
    assert process.exitcode == 130, said
    if doing == "queueing":
        assert f"mc5_embeddings has waited 0 s for the pool gpu: run {other[:8]} is making center_embeddings" in said
        with dg.DagsterInstance.get() as instance:
            instance.event_log_storage.free_concurrency_slots_for_run(other)
    assert "Interrupted. What was finished is kept; the same command goes on from there." in said
    assert "Traceback" not in said
    with dg.DagsterInstance.get() as instance:
        (newest,) = instance.get_runs(limit=1)
        assert newest.status is dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
    assert [path for path in storage.glob("**/.*.tmp") if "dagster_home" not in path.parts] == []
    for path in before:  # as it was, or made again and whole
        pq.read_table(pa.BufferReader(path.read_bytes()))
        assert select in path.parts or digest_file(path) == before[path]

    reused = len(list(store.glob("**/*.parquet")))
    outcome = run(settings.model_copy(update={"batch_size": None}), select=select, force=True)
    assert outcome.failures == ()
    if doing == "embedding":
        folds = [ValueStore(storage).read("mc5_embeddings", fold).header for fold in "01234"]
        assert {header.run_id for header in folds} == {outcome.run_id}
        assert crops("reused", "mc5") >= reused > 0


@one_process
@pytest.mark.promise(
    "An interrupt that is lost, as it is while modules are imported, is sent again; and after 9 s the command ends.",
    "stopped",
    "3 kinds of loss, 10 s each at most",
)
@pytest.mark.parametrize("doing", ["losing one", "losing all", "waiting for a lock"])
def test_a_command_that_is_told_to_stop_before_it_runs_anything(settings: Settings, tmp_path: Path, doing: str) -> None:
    begun, output = tmp_path / "begun", tmp_path / "said"
    prepare = {"losing one": partial(lose_interrupts, begun, 1), "losing all": partial(lose_interrupts, begun, 99)}
    with FileLock(settings.local_root / "dagster_home" / ".initialise.lock"):
        process = start(settings, "run", "--force", output=output, prepare=prepare.get(doing, begun.touch))
        wait_for("it has begun", lambda: begun.exists() and "Weights" in output.read_text(), every_s=0.02)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
    assert process.exitcode == 130, output.read_text()
    assert "Interrupted. What was finished is kept; the same command goes on from there." in output.read_text()
    assert "Traceback" not in output.read_text()
    with dg.DagsterInstance.get() as instance:
        assert {one.status for one in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}, "there is no new one"


@pytest.mark.promise(
    "In a run, weights over a line that refuses, stalls and breaks come whole.",
    "download",
    "429, a stall, 500, a cut, then the rest",
)
def test_weights_come_whole_over_a_line_that_stalls_and_breaks(
    settings: Settings, serve: Callable[..., Server], demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = Retries(attempts=3, stall_s=1.0, wait_s=0.01)
    monkeypatch.setattr("fa_assets.encoders.weights.DEFAULT_RETRIES", hasty)
    weights, etag = demo_checkpoint.read_bytes(), {"ETag": '"1"'}
    server = serve(
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(body=weights, headers=etag, cut=len(weights) // 3, stalls=True),
        Answer(status=500),
        Answer(body=weights, headers=etag, cut=len(weights) // 6),
        Answer(body=weights, headers=etag),
    )
    outcome = run(settings.model_copy(update={"checkpoint": server.url}), select="cnn14_checkpoint")
    assert outcome.failures == ()
    assert len(server.requests) == 5
    assert [int(one.get("Range", "bytes=0-")[6:-1]) > 0 for one in server.requests] == [False, False, True, True, True]
    (row,) = ValueStore(settings.storage_root).read("cnn14_checkpoint").table.to_pylist()
    assert row["origin"] == server.url
    assert Path(row["path"]).read_bytes() == weights
