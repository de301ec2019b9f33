"""A run of two assets with FA_ENGINE=ray and no address: one Ray of its own, the local engine's values, the real network."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fa_assets.catalog.ledger import Ledger
from fa_assets.engines import cluster
from fa_assets.engines.cluster import connected
from fa_assets.runner import run
from fa_assets.storage.embedding_store import embedding_matrix
from fa_assets.storage.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
EMBEDDINGS = ("center_embeddings", "test_mc5_embeddings")


def test_the_embeddings_are_the_local_ones_and_the_ledger_says_where_they_were_made(
    needs_ray: None, finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    starts: list[str | None] = []

    @contextmanager
    def counted(address: str | None) -> Iterator[None]:
        with connected(address):
            starts.append(address)
            yield

    monkeypatch.setattr(cluster, "connected", counted)

    before = servers()
    settings = finished.settings.model_copy(
        update={"storage": tmp_path / "storage", "engine": "ray", "ray_max_actors": 1}
    )
    watched: list[tuple[str, int, int]] = []
    with environment_of(settings):
        outcome = run(
            settings,
            select="+center_embeddings,+test_mc5_embeddings",
            folds=["0"],
            watcher=lambda task, unit, done, total: watched.append((task, done, total)),
        )
    assert outcome.failures == ()
    for asset in EMBEDDINGS:
        ours, theirs = (
            embedding_matrix(ValueStore(one.storage_root).read(asset, "0").table["embedding"])
            for one in (settings, finished.settings)
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())
    entries = [entry for entry in Ledger(settings.storage_root / "ledger").entries() if entry.asset in EMBEDDINGS]
    assert [entry.environment["engine"] for entry in entries] == ["ray", "ray"]
    assert starts == [None], "which was started once"
    assert {entry.environment["device"] for entry in entries} == {"cpu"}, "both had work for Ray"
    assert all(entry.environment["device_name"] and entry.environment["nodes"] for entry in entries)
    assert [done for task, done, total in watched if done == total and task.startswith("center_embeddings")]
    assert not ray.is_initialized()
    assert servers() == before, "the run's own Ray ended with it"


def servers() -> set[str]:
    """The Ray servers that this process started and that still run."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "gcs_server"], capture_output=True, text=True)
    return set(found.stdout.split())
