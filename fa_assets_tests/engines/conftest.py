"""A Ray cluster of two nodes on this machine, with one CPU each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

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
            "include_dashboard": False,
            "object_store_memory": 200_000_000,
            "_system_config": watch,
        }
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
            yield cluster
        finally:
            cluster.shutdown()
