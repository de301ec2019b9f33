"""Embedding on two real Ray nodes: the values of the local engine, whatever dies on the way."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fa_assets.audio.crops import SCHEMES
from fa_assets.engines.cluster import Session
from fa_assets.engines.ray_data import RayEngine
from fa_assets.engines.share import RayOptions
from fa_assets.engines.workers import EncoderRecipe
from fa_assets.errors import BadInputError, UserError
from fa_assets.panns.embed_clips import Clip, announce_parts, embed_clips, embed_clips_on
from fa_assets.storage.embedding_store import EmbeddingStore
from fa_assets_tests.engines.stand_ins import SumEncoder, decode_but_die_of_poison, engine_at

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
MC5 = SCHEMES["mc5"]


def test_both_nodes_work_each_actor_loads_once_and_the_values_are_the_local_ones(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    with engine_at(cluster.address, tmp_path, seconds=0.3) as engine:
        result = embed_clips_on(engine, clips, MC5, store, progress=lambda done, total: seen.append((done, total)))
        again = embed_clips_on(engine, clips, MC5, EmbeddingStore(store.root, "encoder"))
    np.testing.assert_array_equal(result.vectors, expected)
    np.testing.assert_array_equal(again.vectors, expected)
    assert (again.crops_computed, again.crops_reused) == (0, result.crops_computed)
    assert len({node for node, _ in engine.workers}) == 2
    assert len((tmp_path / "loads").read_text().splitlines()) == len(engine.workers) == 2
    assert len(store.shards()) == sum(engine.workers.values())
    assert (seen[0], seen[-1]) == ((0, len(clips)), (len(clips), len(clips)))
    assert seen == sorted(seen)
    assert len(seen) > 4
    assert engine.environment["engine"] == "ray"
    assert engine.environment["actors"] == 2
    assert str(engine.environment["nodes"]).count("(") == 2


def test_announced_parts_go_through_one_pool_of_actors_and_a_deadly_clip_of_one_costs_the_others_nothing(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    poisoned = [replace(clip, fname=f"poison-{clip.fname}") if i == 13 else clip for i, clip in enumerate(clips)]
    parts = [[], poisoned[:6], poisoned[6:12], poisoned[12:]]
    with (
        pytest.raises(BadInputError) as caught,
        engine_at(cluster.address, tmp_path, seconds=0.1, decode=decode_but_die_of_poison) as engine,
    ):
        assert announce_parts(engine, parts, MC5, store) == len(parts)
        vectors = [embed_clips_on(engine, part, MC5, store).vectors for part in parts[:3]]
        np.testing.assert_array_equal(np.concatenate(vectors[1:]), expected[:12])
        assert len((tmp_path / "loads").read_text().splitlines()) == 2, "one pool for all parts"
        embed_clips_on(engine, parts[3], MC5, store)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["poison-13.wav"]
    rest = [i for i in range(len(clips)) if i != 13]
    again = embed_clips(
        [clips[i] for i in rest], MC5, EmbeddingStore(store.root, "encoder"), SumEncoder(tmp_path / "n")
    )
    assert again.crops_computed == 0
    np.testing.assert_array_equal(again.vectors, expected[rest])


def test_a_session_is_left_open_by_an_engine_that_ends_well_and_closed_by_one_that_fails(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    import ray

    session = Session(cluster.address)
    options = RayOptions(max_actors=1)
    try:
        with RayEngine(SumEncoder(tmp_path / "loads"), options, batch_size=4, session=session) as engine:
            embed_clips_on(engine, clips[:2], MC5, store)
        assert ray.is_initialized()
        failing = RayEngine(SumEncoder(tmp_path / "no" / "folder"), options, batch_size=4, session=session)
        with pytest.raises(FileNotFoundError), failing as engine:
            announce_parts(engine, [clips[2:6], clips[6:]], MC5, store)
            embed_clips_on(engine, clips[2:6], MC5, store)
        assert not ray.is_initialized()
        with RayEngine(SumEncoder(tmp_path / "loads"), options, batch_size=4, session=session) as engine:
            embed_clips_on(engine, clips[2:4], MC5, store)
        assert ray.is_initialized()
    finally:
        session.close()
    assert not ray.is_initialized()


@pytest.mark.promise(
    "A killed actor costs its batch: it is started again, and the run finishes with the same values.", "ray"
)
def test_an_actor_killed_half_way_costs_its_batch(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done and not killed:
            killed.append(int((tmp_path / "loads").read_text().split()[0]))
            os.kill(killed[0], signal.SIGKILL)

    with engine_at(cluster.address, tmp_path, seconds=0.5) as engine:
        result = embed_clips_on(engine, clips, MC5, store, progress=kill_one)
    assert killed
    np.testing.assert_array_equal(result.vectors, expected)
    assert len((tmp_path / "loads").read_text().splitlines()) >= 3, "the actor was started again"


@pytest.mark.promise("A killed node costs what it had under way; the rest of the cluster finishes.", "ray")
def test_a_node_killed_half_way_costs_what_it_had_under_way(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    (doomed,) = [node for node in cluster.list_all_nodes() if not node.head]
    killed: list[int] = []

    def kill_node(done: int, total: int) -> None:
        if done and not killed:
            killed.append(done)
            cluster.remove_node(doomed, allow_graceful=False)

    try:
        with engine_at(cluster.address, tmp_path, seconds=0.5) as engine:
            result = embed_clips_on(engine, clips, MC5, store, progress=kill_node)
    finally:
        cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
    assert killed
    assert killed[0] < len(clips)
    np.testing.assert_array_equal(result.vectors, expected)


@pytest.mark.promise("A clip that kills the process that decodes it is named; every other clip is stored.", "ray")
def test_a_clip_that_kills_its_decoder_is_named_and_the_others_are_stored(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    poisoned = [replace(clip, fname=f"poison-{clip.fname}") if i == 7 else clip for i, clip in enumerate(clips)]
    missing = replace(clips[3], path=tmp_path / "gone.wav")
    poisoned[3] = missing
    with (
        engine_at(cluster.address, tmp_path, seconds=0, decode=decode_but_die_of_poison) as engine,
        pytest.raises(BadInputError) as caught,
    ):
        embed_clips_on(engine, poisoned, MC5, store)
    assert sorted(line.split(":")[0] for line in caught.value.offenders) == ["3.wav", "poison-7.wav"]
    assert "the process that decodes it dies" in str(caught.value)
    assert "no such file on node" in str(caught.value)
    good = [i for i in range(len(clips)) if i not in (3, 7)]
    rest = embed_clips([clips[i] for i in good], MC5, EmbeddingStore(store.root, "encoder"), SumEncoder(tmp_path / "n"))
    assert rest.crops_computed == 0
    np.testing.assert_array_equal(rest.vectors, expected[good])


def test_what_an_actor_raises_the_driver_raises_and_a_node_takes_weights_it_lacks_from_the_driver(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    recipe = EncoderRecipe(tmp_path / "absent.pth", "0" * 40, "cpu", "fp32", None, fingerprint="another")
    options = RayOptions(address=cluster.address, max_actors=1)
    with RayEngine(recipe, options, batch_size=4) as engine:
        with pytest.raises(UserError, match="another version of fa_assets"):
            embed_clips_on(engine, clips, MC5, store)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        sent = replace(recipe, content=ray.put(b"weights"))
        assert sent.weights().read_bytes() == b"weights"
    assert store.shards() == []


@pytest.mark.promise("An address where nothing answers is named within seconds.", "ray")
def test_an_address_where_no_cluster_answers_is_named(
    needs_ray: None, clips: list[Clip], store: EmbeddingStore
) -> None:
    recipe = SumEncoder(store.root / "notes")
    with (
        RayEngine(recipe, RayOptions(address="127.0.0.1:1")) as engine,
        pytest.raises(UserError, match=r"FA_RAY_ADDRESS=127.0.0.1:1"),
    ):
        embed_clips_on(engine, clips, MC5, store)
