"""The simulation of a cluster: nothing is lost, known bottlenecks give known throughputs, more of something never hurts."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.simulation import (
    Assumed,
    Measured,
    Resource,
    Spread,
    Step,
    during,
    embedding_stage,
    most_clips_per_second,
    on_cpus,
    simulate,
)


def always(seconds: float) -> Spread:
    return Spread((seconds, seconds))


COSTS = Measured(
    decode_clip=always(0.02),
    embed_relative=always(1.0),
    file_bytes=1e6,
    copy_clip=0.0001,
    append_batch=always(0.01),
    driver_batch=0.01,
    node_batch=0.01,
    driver_clip=0.0001,
)
CLUSTER = Assumed(clips=64 * 88 * 20, folds=1, start_seconds=0.0)


def test_jobs_queue_for_servers_in_the_order_in_which_they_come() -> None:
    desk = Resource("desk", 2)
    ended: list[int] = []

    def job(number: int, seconds: float) -> Iterator[Step]:
        yield from during(desk, seconds)
        ended.append(number)

    assert simulate([job(0, 5.0), job(1, 1.0), job(2, 1.0), job(3, 1.5)]) == 5.0
    assert ended == [1, 2, 3, 0]  # 0 to 5; 0 to 1; 1 to 2; 2 to 3.5
    assert desk.busy == 8.5


def test_a_queue_with_random_service_takes_as_long_as_theory_says() -> None:
    """A line of two single servers, from a full start: Lindley's recursion gives each departure."""
    rng = np.random.default_rng(1)
    first, second = rng.exponential(1.0, 500), rng.exponential(1.0, 500)
    a, b = Resource("a", 1), Resource("b", 1)

    def job(i: int) -> Iterator[Step]:
        yield from during(a, first[i])
        yield from during(b, second[i])

    end = 0.0
    for arrival, seconds in zip(np.cumsum(first), second, strict=True):
        end = max(arrival, end) + seconds
    assert simulate(job(i) for i in range(500)) == pytest.approx(end)


def test_no_work_is_lost() -> None:
    """Each resource is in use for as long as the work that was given to it takes, the last, smaller batch too."""
    cluster = replace(CLUSTER, gpus=4, clips=10_010)
    result = embedding_stage(COSTS, cluster)
    seconds, batches = result.streaming_seconds, 157
    assert result.used["driver"] * seconds == pytest.approx(batches * 0.01)
    assert result.used["GPUs"] * seconds * 4 == pytest.approx(10_010 / 1000)
    assert result.used["decoders"] * seconds * 44 == pytest.approx(10_010 * 0.02 + batches * 0.01)
    assert result.storing * seconds * 4 == pytest.approx(batches * 0.06)
    assert max(result.used.values()) <= 1


@pytest.mark.parametrize(
    ("limit", "costs", "cluster", "clips_per_second"),
    [
        ("driver", replace(COSTS, driver_batch=1.0), replace(CLUSTER, gpus=8), 64.0),
        ("decoders", replace(COSTS, decode_clip=always(0.1), node_batch=0.0), replace(CLUSTER, gpus=8), 880.0),
        ("network", COSTS, replace(CLUSTER, gpus=8, node_gbit=0.8), 100.0),
        ("actors", COSTS, replace(CLUSTER, gpus=1, cpus_per_gpu=100, put_seconds=6.3), 64 / (0.0064 + 0.064 + 6.31)),
        ("GPUs", COSTS, replace(CLUSTER, gpus=2, clips_per_gpu_second=50, actors_per_gpu=2), 100.0),
    ],
)
def test_a_bottleneck_gives_its_own_rate(
    limit: str, costs: Measured, cluster: Assumed, clips_per_second: float
) -> None:
    result = embedding_stage(costs, cluster)
    assert result.limit == limit
    assert cluster.clips / result.streaming_seconds == pytest.approx(clips_per_second, rel=0.03)
    assert most_clips_per_second(costs, cluster)[limit] == pytest.approx(clips_per_second, rel=1e-9)


def test_more_gpus_are_never_slower_and_never_beat_what_is_possible() -> None:
    varied = replace(COSTS, decode_clip=Spread((0.005, 0.02, 0.06)), embed_relative=Spread((0.8, 1.0, 1.5)))
    took = []
    for gpus in (1, 2, 4, 8, 16, 32, 64):
        cluster = replace(CLUSTER, gpus=gpus)
        took.append(embedding_stage(varied, cluster).seconds)
        assert cluster.clips / took[-1] <= 1.01 * min(most_clips_per_second(varied, cluster).values())
    assert all(later <= 1.01 * earlier for earlier, later in pairwise(took))


def test_two_actors_of_a_gpu_compute_while_the_other_stores() -> None:
    cluster = replace(CLUSTER, gpus=1, cpus_per_gpu=100, put_seconds=0.05)
    one, two = (embedding_stage(COSTS, replace(cluster, actors_per_gpu=count)) for count in (1, 2))
    assert one.used["GPUs"] == pytest.approx(0.064 / (0.0064 + 0.064 + 0.06), rel=0.02)
    assert two.used["GPUs"] > 0.95


def test_folds_and_what_the_driver_does_around_them_come_one_after_another() -> None:
    cluster = replace(CLUSTER, folds=5, start_seconds=7.0)
    result = embedding_stage(COSTS, cluster)
    assert result.seconds == pytest.approx(result.streaming_seconds + 5 * 7.0 + CLUSTER.clips * 0.0001)


def test_workers_of_one_cpu_share_it_with_the_decoders_and_the_driver() -> None:
    batches = [(0.01, 0.1, 0.9)] * 20
    assert on_cpus(1, batches, 3.0) == pytest.approx(20 * 1.01 + 3.0)
    assert 10 * 1.01 + 3.0 <= on_cpus(2, batches, 3.0) < 11.5 + 3.0


def test_a_spread_keeps_the_mean_and_stays_within_what_was_seen() -> None:
    values = np.random.default_rng(0).gamma(4.0, 0.005, 5000)
    spread = Spread.of(list(values))
    drawn = spread.draw(np.random.default_rng(1), (20_000,))
    assert spread.mean == pytest.approx(values.mean(), rel=0.05)
    assert drawn.mean() == pytest.approx(spread.mean, rel=0.02)
    assert values.min() <= drawn.min() and drawn.max() <= values.max()


def test_a_resource_without_a_server_is_refused() -> None:
    with pytest.raises(ValueError, match="desk: 0 servers"):
        Resource("desk", 0)
