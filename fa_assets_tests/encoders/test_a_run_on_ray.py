"""Runs with FA_ENGINE=ray, by the network of the finished run: its values, whether on a Ray of its own or as a Ray job."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.definitions import code_location
from fa_assets.graph.runner import run
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import COMMAND, environment
from fa_assets_tests.finished_run import FinishedRun, environment_of

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

EMBEDDINGS = {"center_embeddings": "0", "test_embeddings": None}
"""The assets with the part that is made."""


def test_the_embeddings_are_the_local_ones_and_the_ledger_says_where_they_were_made(
    needs_ray: None, finished: FinishedRun, tmp_path: Path
) -> None:
    import ray

    before = servers()
    settings = finished.settings.model_copy(update={"storage": tmp_path / "storage", "engine": "ray", "ray_actors": 1})
    watched: list[tuple[str, int, int]] = []
    location = code_location(settings, lambda task, unit, done, total: watched.append((task, done, total)))
    with environment_of(settings):
        outcome = run(location, select="+center_embeddings,+test_embeddings", folds=["0"])
    assert outcome.failures == ()
    for asset, part in EMBEDDINGS.items():
        ours, theirs = (
            embedding_matrix(ValueStore(one.storage_root).read(asset, part).table["embedding"])
            for one in (settings, finished.settings)
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())
    entries = [entry for entry in Ledger(settings.storage_root / "ledger").entries() if entry.asset in EMBEDDINGS]
    assert [entry.environment["engine"] for entry in entries] == ["ray", "ray"]
    assert {entry.environment["device"] for entry in entries} == {"cpu"}, "both had work for Ray"
    assert all(entry.environment["device_name"] and entry.environment["nodes"] for entry in entries)
    assert [done for task, done, total in watched if done == total and task.startswith("center_embeddings")]
    assert len(servers() - before) == 1, "one Ray for both"
    ray.shutdown()
    assert servers() == before


def test_the_same_run_as_a_job_of_a_cluster(cluster: "Cluster", finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.settings.model_copy(
        update={"storage": tmp_path / "storage", "engine": "ray", "ray_address": "auto", "ray_actors": 1}
    )
    values = {name: value for name, value in environment(settings).items() if name.startswith("FA_")}
    submit = ["job", "submit", "--address", f"http://{cluster.webui_url}", "--runtime-env-json"]
    command = [str(COMMAND), "run", "--select", "+center_embeddings", "--fold", "0"]
    for _ in range(20):
        done = subprocess.run(
            [COMMAND.with_name("ray"), *submit, json.dumps({"env_vars": values}), "--", *command],
            capture_output=True,
            text=True,
            timeout=240,
        )
        if "No available agent" not in done.stderr:
            break
        time.sleep(3)  # the node's agent, which takes jobs, starts after the node
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    (entry,) = [one for one in Ledger(settings.storage_root / "ledger").entries() if one.asset == "center_embeddings"]
    assert entry.environment["engine"] == "ray"
    ours, theirs = (
        embedding_matrix(ValueStore(one.storage_root).read("center_embeddings", "0").table["embedding"])
        for one in (settings, finished.settings)
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def servers() -> set[str]:
    """The Ray servers that this process started and that still run."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "gcs_server"], capture_output=True, text=True)
    return set(found.stdout.split())
