"""Embedding on two real Ray nodes: the values of the local engine, whatever dies on the way."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.embed_clips import Clip, embed_clips
from fa_assets.encoders.ray import RayEngine, _Pool, plan_batches
from fa_assets.encoders.ray_cluster import RayOptions, SentEncoder, require_ray
from fa_assets.encoders.registry import EncoderRecipe
from fa_assets.errors import BadInputError, UserError
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets_tests.encoders.stand_ins import (
    CARD,
    SumEncoder,
    decode_but_die,
    decode_but_die_once,
    embed_here,
    engine_at,
)
from fa_assets_tests.encoders.test_embed_clips import make_clip
from fa_assets_tests.runs import prepare_environment

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

MC5 = SCHEMES["mc5"]


def test_both_nodes_work_each_actor_loads_once_and_the_values_are_the_local_ones(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    with engine_at(cluster.address, tmp_path, together=2) as engine:
        parts = [clips[:12], [], clips[12:]]  # the first has more batches than an actor is given at once
        vectors = [embed_clips(engine, parts[0], MC5, store, CARD).vectors]
        vectors += [
            embed_clips(engine, part, MC5, store, CARD, progress=lambda done, total: seen.append((done, total))).vectors
            for part in parts[1:]
        ]
        again = embed_clips(engine, clips, MC5, EmbeddingStore(store.root, "encoder"), CARD)
    np.testing.assert_array_equal(np.concatenate([vectors[0], vectors[2]]), expected)
    np.testing.assert_array_equal(again.vectors, expected)
    assert again.crops_computed == 0
    assert len({node for node, _ in engine.batches}) == 2
    assert len((tmp_path / "loads").read_text().splitlines()) == len(engine.batches) == 2, "one pool for all parts"
    assert len(store.shards()) == engine.batches.total()
    assert (seen[0], seen[-1]) == ((0, 12), (12, 12))
    assert seen == sorted(seen)
    assert len(seen) > 4
    assert engine.environment["engine"] == "ray"
    assert engine.environment["actors"] == 2
    assert str(engine.environment["nodes"]).count("(") == 2


@pytest.mark.promise(
    "A killed actor costs its batches: another one is started, and the run finishes with the same values.",
    "ray",
    "SIGKILL of the only actor",
)
def test_an_actor_killed_half_way_costs_its_batches(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done and not killed:
            (actor,) = (tmp_path / "loads").read_text().split()
            killed.append(int(actor))
            os.kill(killed[0], signal.SIGKILL)

    with engine_at(cluster.address, tmp_path, seconds=0.1, actors=1) as engine:
        result = embed_clips(engine, clips, MC5, store, CARD, progress=kill_one)
    np.testing.assert_array_equal(result.vectors, expected)
    assert len((tmp_path / "loads").read_text().split()) == 2, "another actor was started"


@pytest.mark.promise(
    "A killed node costs what it had under way; the rest of the cluster finishes.", "ray", "1 of 2 nodes"
)
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
            result = embed_clips(engine, clips, MC5, store, CARD, progress=kill_node)
    finally:
        cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
    assert killed
    assert killed[0] < len(clips)
    np.testing.assert_array_equal(result.vectors, expected)


def test_a_decoder_that_dies_costs_its_batch_and_clips_that_cannot_be_embedded_are_named(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, expected: np.ndarray, tmp_path: Path
) -> None:
    own = clips[:8]
    own[7] = replace(own[7], fname="die-once.wav")
    own[3] = replace(own[3], path=tmp_path / "gone.wav")
    own.append(make_clip(tmp_path, "silent.wav", 1, 0, loud=0))
    with (
        pytest.raises(BadInputError, match="no such file on node") as caught,
        engine_at(cluster.address, tmp_path, decode=decode_but_die_once) as engine,
    ):
        embed_clips(engine, own, MC5, store, CARD)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["3.wav", "silent.wav"]
    assert "NaN" in caught.value.offenders[1]
    good = [i for i in range(8) if i != 3]
    rest = embed_here(
        [own[i] for i in good], MC5, EmbeddingStore(store.root, "encoder"), SumEncoder(tmp_path / "n"), CARD
    )
    assert rest.crops_computed == 0
    np.testing.assert_array_equal(rest.vectors, expected[good])


@pytest.mark.promise("A batch whose workers die again and again ends the run and is named.", "ray", "3 deaths")
def test_workers_that_keep_dying_end_the_run(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    with (
        pytest.raises(UserError, match=r"3 workers .* died with the batch of 1 clips that begins with 2.wav"),
        engine_at(cluster.address, tmp_path, decode=decode_but_die) as engine,
    ):
        embed_clips(engine, clips[2:3], MC5, store, CARD)
    assert store.shards() == []


def test_a_batch_that_was_stored_before_its_actor_died_does_not_bring_the_actor_back(
    needs_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray gives what is ready in any order: here the death first, then what the dead actor had finished."""
    import ray

    class Actor:
        def __init__(self, name: str) -> None:
            self.load = self
            self.name = name

        def remote(self) -> str:
            return f"{self.name} loads"

    names = iter(["first", "second"])
    given: list[str] = []

    def embed(actor: Actor, batch: list[tuple[Clip, list[CropKey]]]) -> str:
        given.append(f"{actor.name} {batch[0][0].fname}")
        return given[-1]

    def get(reference: str) -> str:
        if reference == "first 0":
            raise ray.exceptions.RayActorError
        return reference

    order = ["first loads", "first 0", "first 1", "first 2"]

    def wait(references: list[str], **_: object) -> tuple[list[str], list[str]]:
        return [min(references, key=lambda one: order.index(one) if one in order else len(order))], []

    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "get", get)
    pool = _Pool(1, 1, start=lambda: Actor(next(names)), embed=embed)
    assert list(pool.run(work(1, 1, 1, 1))) == ["first 1", "first 2", "second 3", "second 0"]
    assert given == ["first 0", "first 1", "first 2", "second 3", "second 0"]


def test_what_an_actor_raises_the_driver_raises_and_a_node_takes_weights_it_lacks_from_the_driver(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    recipe = EncoderRecipe("cnn14", tmp_path / "absent.pth", "0" * 40, "cpu")
    other = SentEncoder(recipe, fingerprint="another")
    options = RayOptions(address=cluster.address, actors=1)
    with (
        pytest.raises(UserError, match="another version of fa_assets"),
        RayEngine(other, options, batch_size=4) as engine,
    ):
        embed_clips(engine, clips, MC5, store, CARD)
    assert not ray.is_initialized(), "an error ends the connection"
    ray.init(cluster.address, log_to_driver=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sent = replace(other, content=ray.put(b"weights"))
    assert sent.weights().read_bytes() == b"weights"
    assert store.shards() == []


def test_each_gpu_has_one_actor_that_sees_it_alone(
    cluster: "Cluster", clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    """Ray only counts GPUs and numbers them, so two that a node claims to have will do."""
    node = cluster.add_node(num_cpus=3, num_gpus=2, object_store_memory=200_000_000)
    encoder = SumEncoder(tmp_path / "loads", together=2)
    try:
        with RayEngine(encoder, RayOptions(address=cluster.address), batch_size=1) as engine:
            embed_clips(engine, clips[1:6], MC5, store, CARD)
    finally:
        cluster.remove_node(node)
        cluster.wait_for_nodes()
    places = [line.split() for line in (tmp_path / "loads").read_text().splitlines()]
    assert sorted(devices for _, devices in places) == ["0", "1"]
    assert {int(process) for process, _ in places} == {process for _, process in engine.batches}
    assert len({where for where, _ in engine.batches}) == 1, "the node with the GPUs"


@pytest.mark.promise("An address where nothing answers is named within seconds.", "ray")
def test_an_address_where_no_cluster_answers_is_named(
    needs_ray: None, clips: list[Clip], store: EmbeddingStore
) -> None:
    with (
        RayEngine(SumEncoder(store.root / "notes"), RayOptions(address="127.0.0.1:1")) as engine,
        pytest.raises(UserError, match=r"FA_RAY_ADDRESS=127.0.0.1:1"),
    ):
        embed_clips(engine, clips, MC5, store, CARD)


def test_without_the_extra_the_setting_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'fa_assets\[ray\]'"):
        require_ray()
    with pytest.raises(UserError, match=r"pip install 'fa_assets\[ray\]'"):
        prepare_environment(Settings(engine="ray", dataset=tmp_path, storage=tmp_path))


def work(*sizes: int) -> list[tuple[Clip, list[CropKey]]]:
    return [
        (
            Clip(str(i), Path(str(i)), str(i), 32_000, 1),
            [CropKey(str(i), 32_000, start, 320_000) for start in range(size)],
        )
        for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "limit", "batches"),
    [
        ([], 8, []),
        ([5, 5, 5], 7, [[5], [5], [5]]),
        ([3, 5, 1, 1, 6], 8, [[3, 5], [1, 1, 6]]),
        ([20, 1], 8, [[8], [8], [4, 1]]),
    ],
)
def test_clips_stay_whole_in_batches_unless_they_are_larger(
    sizes: list[int], limit: int, batches: list[list[int]]
) -> None:
    planned = plan_batches(work(*sizes), limit)
    assert [[len(keys) for _, keys in batch] for batch in planned] == batches
    assert [key for batch in planned for _, keys in batch for key in keys] == [
        key for _, keys in work(*sizes) for key in keys
    ]


@pytest.mark.parametrize(
    ("options", "device", "cpus", "gpus", "actors", "gpus_each"),
    [
        (RayOptions(), "auto", 8, 0, 8, 0),
        (RayOptions(), "auto", 16, 4, 4, 1),
        (RayOptions(), "cpu", 16, 4, 16, 0),
        (RayOptions(actor_gpus=0.5), "cuda", 16, 4, 8, 0.5),
        (RayOptions(actors=3), "auto", 8, 0, 3, 0),
    ],
)
def test_there_are_as_many_actors_as_the_cluster_has_room_for(
    options: RayOptions, device: str, cpus: float, gpus: float, actors: int, gpus_each: float
) -> None:
    use = options.on(cpus, gpus, device)
    assert (use.actors, use.actor_gpus) == (actors, gpus_each)


@pytest.mark.parametrize(("device", "cpus", "gpus"), [("auto", 0.5, 0), ("cuda", 8, 0)])
def test_a_cluster_that_has_too_little_is_said(device: str, cpus: float, gpus: float) -> None:
    with pytest.raises(UserError, match=rf"has {cpus:g} CPUs and {gpus:g} GPUs, and an actor and a decoder need"):
        RayOptions().on(cpus, gpus, device)
