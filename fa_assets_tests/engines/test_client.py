"""Through Ray's client, from a machine that is no node of the cluster: the same values, whatever dies on the way."""

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fa_assets.audio.crops import SCHEMES
from fa_assets.engines import client
from fa_assets.engines.ray_data import RayEngine
from fa_assets.engines.share import RayOptions
from fa_assets.errors import BadInputError, UserError
from fa_assets.panns.embed_clips import Clip, announce_parts, embed_clips, embed_clips_on
from fa_assets.storage.embedding_store import EmbeddingStore
from fa_assets_tests.engines.stand_ins import SumEncoder, decode_but_die_of_poison, engine_at

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
MC5 = SCHEMES["mc5"]


def drivers() -> list[int]:
    """The processes that drive a pipeline within the cluster."""
    found = subprocess.run(["pgrep", "--full", "^ray::_Driver"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def test_both_nodes_work_each_actor_loads_once_and_progress_comes_as_it_is_made(
    client_address: str, clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    seen: list[int] = []
    with engine_at(client_address, tmp_path, seconds=0.3) as engine:
        result = embed_clips_on(engine, clips, MC5, store, progress=lambda done, total: seen.append(done))
        assert client.is_client()
    np.testing.assert_array_equal(result.vectors, expected)
    assert len({node for node, _ in engine.workers}) == 2
    assert len((tmp_path / "loads").read_text().splitlines()) == len(engine.workers) == 2
    assert len(set(seen)) > 4
    assert not client.is_client()
    assert drivers() == []


@pytest.mark.promise(
    "Through Ray's client: what drives the batches on the head is, when killed, started again with what is left.", "ray"
)
def test_a_driver_killed_half_way_is_started_again_with_what_is_left(
    client_address: str,
    clips: list[Clip],
    store: EmbeddingStore,
    expected: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    killed: list[int] = []

    def kill_driver(done: int, total: int) -> None:
        if done and not killed:
            killed.extend(drivers())
            os.kill(killed[0], signal.SIGKILL)

    parts = [clips[:6], clips[6:]]
    with engine_at(client_address, tmp_path, seconds=0.3) as engine:
        assert announce_parts(engine, parts, MC5, store) == len(parts)
        vectors = [embed_clips_on(engine, part, MC5, store, progress=kill_driver).vectors for part in parts]
    assert len(killed) == 1
    assert "died, and is started again" in caplog.text
    np.testing.assert_array_equal(np.concatenate(vectors), expected)


def test_drivers_that_die_one_after_another_end_the_run_with_the_reason(
    client_address: str, clips: list[Clip], store: EmbeddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_Driver", _Doomed)
    with (
        engine_at(client_address, tmp_path, seconds=0) as engine,
        pytest.raises(UserError, match=r"died 3 times \(.*OSError: no room.*\)"),
    ):
        embed_clips_on(engine, clips, MC5, store)


def test_a_connection_that_is_lost_is_said_and_what_was_finished_is_kept(
    client_address: str, clips: list[Clip], store: EmbeddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    get, asked = ray.get, []

    def lose(result: object) -> object:
        asked.append(result)
        if len(asked) > 2:
            ray.shutdown()
            raise ConnectionError("Client is shutting down.")
        return get(result)

    monkeypatch.setattr(ray, "get", lose)
    with (
        engine_at(client_address, tmp_path, seconds=0.1) as engine,
        pytest.raises(client.ConnectionLostError, match="is kept"),
    ):
        embed_clips_on(engine, clips, MC5, store)
    assert store.shards()


class _Doomed:
    def __init__(self, *_: object) -> None:
        raise OSError("no room")

    def next(self) -> None: ...

    def close(self) -> None: ...


def test_a_clip_that_kills_its_decoder_is_named_and_the_others_are_stored(
    client_address: str, clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    poisoned = [replace(clip, fname=f"poison-{clip.fname}") if i == 7 else clip for i, clip in enumerate(clips)]
    with (
        engine_at(client_address, tmp_path, seconds=0, decode=decode_but_die_of_poison) as engine,
        pytest.raises(BadInputError) as caught,
    ):
        embed_clips_on(engine, poisoned, MC5, store)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["poison-7.wav"]
    good = [i for i in range(len(clips)) if i != 7]
    rest = embed_clips([clips[i] for i in good], MC5, EmbeddingStore(store.root, "encoder"), SumEncoder(tmp_path / "n"))
    assert rest.crops_computed == 0
    np.testing.assert_array_equal(rest.vectors, expected[good])


def test_a_server_that_fails_to_start_a_process_for_us_is_asked_again(
    client_address: str, clips: list[Clip], store: EmbeddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    connect, tries = ray.init, []

    def fail_twice(**settings: object) -> None:
        tries.append(settings["address"])
        if len(tries) < 3:
            raise ConnectionAbortedError("Initialization failure from server")
        connect(**settings)

    monkeypatch.setattr(ray, "init", fail_twice)
    with engine_at(client_address, tmp_path, seconds=0) as engine:
        embed_clips_on(engine, clips[:2], MC5, store)
    assert tries == [client_address] * 3


def test_what_a_run_that_fails_had_claimed_of_the_cluster_is_free_for_the_next(
    client_address: str, clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    def fail(done: int, total: int) -> None:
        if done:
            raise KeyError("a defect")

    times: list[float] = []
    with pytest.raises(KeyError), engine_at(client_address, tmp_path, seconds=0.3) as engine:
        embed_clips_on(engine, clips, MC5, store, progress=fail)
    with engine_at(client_address, tmp_path, seconds=0.3) as engine:
        embed_clips_on(engine, clips, MC5, store, progress=lambda done, total: times.append(time.monotonic()))
    assert times[-1] - times[1] < 20, "3 s, or 25 where Ray Data lets one batch in at a time"


def test_an_address_where_no_client_server_answers_is_named(
    needs_ray: None, clips: list[Clip], store: EmbeddingStore
) -> None:
    with (
        RayEngine(SumEncoder(store.root / "notes"), RayOptions(address="ray://127.0.0.1:1")) as engine,
        pytest.raises(UserError, match=r"FA_RAY_ADDRESS=ray://127.0.0.1:1"),
    ):
        embed_clips_on(engine, clips, MC5, store)
