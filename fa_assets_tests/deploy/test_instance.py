"""The instance's configuration: what Dagster's own loaders say to it, and that its pools hold for several machines."""

import os
import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths

from fa_assets_tests.deploy.files import CHECKOUT, DEPLOY, load
from fa_assets_tests.end_to_end.postgres import postgres_server, require_postgres

POOLS = ["gpu", "catalog"]


def test_dagster_takes_it() -> None:
    configuration, custom = dagster_instance_config(str(DEPLOY))
    assert custom is None
    assert configuration["storage"] == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}


def test_but_for_the_storage_it_is_the_instance_of_one_machine() -> None:
    ours = load("dagster.yaml")
    assert ours.pop("storage")
    assert ours == yaml.safe_load((CHECKOUT / "fa_assets" / "graph" / "dagster.yaml").read_text())


def test_the_url_names_the_driver() -> None:
    url = load("docker-compose.yaml")["services"]["code-location"]["environment"]["DAGSTER_POSTGRES_URL"]
    assert url.startswith("postgresql+psycopg2://")
    assert load("helm-values.yaml")["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


def test_the_workspace_is_the_code_location_of_the_compose_file() -> None:
    (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert isinstance(origin, dg._core.remote_origin.GrpcServerCodeLocationOrigin)
    services = load("docker-compose.yaml")["services"]
    assert origin.host in services
    assert f"--port={origin.port}" in services[origin.host]["command"]
    assert f"--location-name={origin.location_name}" in services[origin.host]["command"]


def claim(home: str, url: str, pool: str) -> bool:
    """On one machine, with a DAGSTER_HOME of its own: whether a step gets a place in a pool that was made for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", home)
        patch.setenv("DAGSTER_POSTGRES_URL", url)
        with dg.DagsterInstance.get() as instance:
            (known,) = [one for one in instance.event_log_storage.get_pool_limits() if one.name == pool]
            assert not known.from_default, "or Dagster may trip over making it"
            return instance.event_log_storage.claim_concurrency_slot(pool, Path(home).name, "step").is_claimed


@pytest.mark.slow
def test_a_place_that_one_machine_has_no_other_gets(tmp_path: Path) -> None:
    machines = [tmp_path / "one", tmp_path / "other"]
    for home in machines:
        home.mkdir()
        shutil.copy(DEPLOY / "dagster.yaml", home)
    shell, option, command = load("docker-compose.yaml")["services"]["pools"]["command"]
    with postgres_server(require_postgres()) as url, get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DAGSTER_HOME": str(machines[0]),
            "DAGSTER_POSTGRES_URL": url,
        }
        subprocess.run([shell, option, command], env=environment, check=True)
        got = {pool: [processes.apply(claim, (str(home), url, pool)) for home in machines] for pool in POOLS}
    assert got == {"gpu": [True, False], "catalog": [True, False]}
