"""Where actors are put on a node with GPUs. Ray only counts GPUs and numbers them, so two that a node claims to have will do;
the encoder is a stand-in on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fa_assets.audio.crops import SCHEMES
from fa_assets.engines.ray_data import RayEngine
from fa_assets.engines.share import RayOptions
from fa_assets.panns.embed_clips import embed_clips, embed_clips_on
from fa_assets.storage.embedding_store import EmbeddingStore
from fa_assets_tests.engines.stand_ins import SumEncoder
from fa_assets_tests.panns.test_embed_clips import make_clip

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


def test_each_gpu_has_one_actor_that_sees_it_alone(cluster: "Cluster", tmp_path: Path) -> None:
    clips = [make_clip(tmp_path, f"{i}.wav", 0.5, i) for i in range(16)]
    node = cluster.add_node(num_cpus=3, num_gpus=2, object_store_memory=200_000_000)
    try:
        encoder = SumEncoder(tmp_path / "loads", seconds=0.3)
        with RayEngine(encoder, RayOptions(address=cluster.address, min_actors=2), batch_size=1) as engine:
            result = embed_clips_on(engine, clips, SCHEMES["center"], EmbeddingStore(tmp_path / "ray", "encoder"))
            workers = engine.workers
    finally:
        cluster.remove_node(node)
        cluster.wait_for_nodes()
    places = [line.split() for line in (tmp_path / "loads").read_text().splitlines()]
    assert sorted(devices for _, devices in places) == ["0", "1"]
    assert {int(process) for process, _ in places} == {process for _, process in workers}
    assert len({where for where, _ in workers}) == 1, "the node with the GPUs"
    local = EmbeddingStore(tmp_path / "local", "encoder")
    expected = embed_clips(clips, SCHEMES["center"], local, SumEncoder(tmp_path / "notes"))
    assert (result.vectors == expected.vectors).all()
