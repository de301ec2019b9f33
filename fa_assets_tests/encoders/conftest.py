"""A Ray cluster of two nodes on this machine, with one CPU each; and clips for it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.embed_clips import Clip
from fa_assets.store.embedding_store import EmbeddingStore
from fa_assets_tests.encoders.stand_ins import CARD, SumEncoder, embed_here
from fa_assets_tests.encoders.test_embed_clips import make_clip
from fa_assets_tests.ports import free_port

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


@pytest.fixture(scope="session")
def cluster(needs_ray: None) -> Iterator["Cluster"]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        # A dead node is noticed after 1 s instead of 15.
        watch = {"health_check_period_ms": 250, "health_check_failure_threshold": 4, "health_check_initial_delay_ms": 0}
        node = {
            "num_cpus": 1,
            "include_dashboard": True,
            "dashboard_port": free_port(),
            "dashboard_agent_listen_port": 0,  # any; at the default the agent, which takes jobs, ends where it is taken
            "object_store_memory": 200_000_000,
            "_system_config": watch,
        }
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="session", autouse=True)
def without_token() -> Iterator[None]:
    """A Ray that is started here would make this process want a token, for good; and then a cluster without one takes its
    driver for dead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(autouse=True)
def disconnected() -> Iterator[None]:
    """Each test connects by itself."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(folder, f"{i}.wav", 0.5 + i / 10 if i % 6 else 11, i) for i in range(24)]


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "storage", "encoder")


@pytest.fixture
def expected(clips: list[Clip], tmp_path: Path) -> np.ndarray:
    """The local engine's values of the clips, from `SumEncoder`."""
    store = EmbeddingStore(tmp_path / "local", "encoder")
    return embed_here(clips, SCHEMES["mc5"], store, SumEncoder(tmp_path / "notes"), CARD).vectors
