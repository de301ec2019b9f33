"""The Kubernetes files, as far as they can be judged here: pods by Kubernetes' own schema, the run launcher by Dagster's.

Neither the schema of Dagster's chart nor that of KubeRay's RayCluster comes with a Python package, so the keys above the
pods are only compared with each other and with the image.
"""

from importlib import metadata
from typing import Any

import pytest
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema

from fa_assets_tests.deploy.files import DEPLOY, load, need_module

VALUES = load("helm-values.yaml")
CLUSTER = load("raycluster.yaml")
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
GROUPS = {
    "head": CLUSTER["spec"]["headGroupSpec"],
    **{one["groupName"]: one for one in CLUSTER["spec"]["workerGroupSpecs"]},
}


def judged(spec: dict[str, Any]) -> None:
    """Ask Kubernetes' schema of a pod, which knows every field.

    Raises:
        kubernetes_validate.ValidationError: it does not fit.
    """
    need_module("kubernetes_validate")
    import kubernetes_validate

    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("group", list(GROUPS))
def test_the_pods_of_ray_are_pods(group: str) -> None:
    judged(GROUPS[group]["template"]["spec"])


def test_the_code_location_is_a_pod() -> None:
    container = {
        "name": "code",
        "image": f"{CODE['image']['repository']}:{CODE['image']['tag']}",
        "imagePullPolicy": CODE["image"]["pullPolicy"],
        "args": CODE["dagsterApiGrpcArgs"],
        "env": [{"name": name, "value": value} for name, value in CODE["env"].items()],
        "envFrom": [{"secretRef": secret} for secret in CODE["envSecrets"]],
        "securityContext": CODE["securityContext"],
        "volumeMounts": CODE["volumeMounts"],
    }
    judged({"containers": [container], "volumes": CODE["volumes"], "securityContext": CODE["podSecurityContext"]})


def test_the_webserver_is_a_pod_with_the_guard() -> None:
    given = VALUES["dagsterWebserver"]
    image = f"{given['image']['repository']}:{given['image']['tag']}"
    judged(
        {
            "containers": [
                {
                    "name": "ui",
                    "image": image,
                    "env": given["env"],
                    "envFrom": [{"secretRef": secret} for secret in given["envSecrets"]],
                    "readinessProbe": given["readinessProbe"],
                    "volumeMounts": given["volumeMounts"],
                }
            ],
            "volumes": given["volumes"],
        }
    )
    shown = {one["name"]: one["value"] for one in given["env"]}
    assert all(shown[name] == CODE["env"][name] for name in ("FA_DATASET", "FA_STORAGE", "AWS_ENDPOINT_URL"))
    assert image == f"{CODE['image']['repository']}:{CODE['image']['tag']}"
    assert 'exec python -m fa_assets.cli.webserver "$@"' in (DEPLOY / "Dockerfile").read_text()


def test_a_run_is_a_pod() -> None:
    raw = LAUNCHER["runK8sConfig"]
    container = {"name": "run", "image": "image", **raw["containerConfig"]}
    judged({"containers": [container], "restartPolicy": "Never", **raw["podSpecConfig"]})


def test_dagster_takes_the_run_launcher() -> None:
    need_module("dagster_k8s")
    from dagster_k8s import K8sRunLauncher

    snake = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "jobSpecConfig": "job_spec_config",
    }
    configuration = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "run_k8s_config": {snake[name]: value for name, value in LAUNCHER["runK8sConfig"].items()},
    }
    assert VALUES["runLauncher"]["type"] == K8sRunLauncher.__name__
    assert process_config(K8sRunLauncher.config_type(), configuration).success
    assert not process_config(K8sRunLauncher.config_type(), {**configuration, "no_such": 1}).success


def test_dagster_takes_the_additional_configuration() -> None:
    more = VALUES["additionalInstanceConfig"]
    assert process_config(dagster_instance_config_schema(), more).success
    assert more["concurrency"] == load("dagster.yaml")["concurrency"]
    assert not VALUES["dagsterDaemon"]["runCoordinator"]["enabled"], "limits may not be in both"


def test_retention_is_that_of_the_instance() -> None:
    expected = load("dagster.yaml")["retention"]
    assert {kind: VALUES["retention"][kind]["purgeAfterDays"] for kind in expected} == {
        kind: {**expected[kind]["purge_after_days"], "started": -1} for kind in expected
    }
    for kind in expected:
        given = {"retention": {kind: {"purge_after_days": VALUES["retention"][kind]["purgeAfterDays"]}}}
        assert process_config(dagster_instance_config_schema(), given).success


def test_ray_is_the_locked_one_and_the_runs_find_it() -> None:
    need_module("ray")
    assert CLUSTER["spec"]["rayVersion"] == metadata.version("ray")
    (variable,) = LAUNCHER["runK8sConfig"]["containerConfig"]["env"]
    assert variable == {"name": "RAY_HEAD", "value": f"{CLUSTER['metadata']['name']}-head-svc:6379"}
    assert variable["name"] in (DEPLOY / "entry_point.sh").read_text()


def test_all_have_the_same_secrets_and_the_same_path_to_the_clips() -> None:
    for group in GROUPS.values():
        (container,) = group["template"]["spec"]["containers"]
        assert [one["secretRef"] for one in container["envFrom"]] == CODE["envSecrets"]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert {name: environment[name] for name in ("RAY_AUTH_MODE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")} == {
            name: CODE["env"][name] for name in ("RAY_AUTH_MODE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
        }
    for group in CLUSTER["spec"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert CODE["env"]["FA_DATASET"] in [mount["mountPath"] for mount in container["volumeMounts"]]
