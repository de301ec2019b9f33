"""The compose files fit their schema, their commands fit the programs, and nothing is open or secret that should not be."""

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fsspec
import pytest

from fa_assets_tests.deploy.files import CPU_AND_CUDA, DEPLOY, load, need_module, program, verdict
from fa_assets_tests.object_store import ObjectStore

FILES = ["docker-compose.yaml", "docker-compose.gpu.yaml", "docker-compose.cluster.yaml"]
SERVICES: dict[str, Any] = load("docker-compose.yaml")["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DEPLOY / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)


@pytest.mark.parametrize("name", FILES)
def test_it_fits_the_compose_specification(name: str) -> None:
    need_module("check_jsonschema")
    code, said = verdict(program("check-jsonschema"), "--builtin-schema", "compose-spec", DEPLOY / name)
    assert code == 0, said


def test_every_part_is_there() -> None:
    assert set(OURS) == {"webserver", "daemon", "code-location", "ray-head", "ray-worker", "bucket", "pools"}
    assert set(SERVICES) - set(OURS) == {"postgres", "minio"}


def test_the_overrides_change_what_is_there() -> None:
    assert set(load("docker-compose.gpu.yaml")["services"]) <= set(SERVICES)
    assert set(load("docker-compose.cluster.yaml")) == {"networks"}


def test_only_the_ui_is_published_and_only_to_this_machine() -> None:
    published = [(name, port) for name, service in SERVICES.items() for port in service.get("ports", [])]
    assert published == [("webserver", "127.0.0.1:${UI_PORT:-3000}:3000")]
    assert not [name for name, service in SERVICES.items() if service.get("network_mode") or service.get("privileged")]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_privileges_to_gain(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert SERVICES[name]["build"]["target"] == "${VARIANT:-cpu}"
    assert EXAMPLE["VARIANT"] in CPU_AND_CUDA


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_waiting_is_for_a_condition_that_can_come(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"
    assert "healthcheck" in SERVICES[name] or SERVICES[name]["restart"] == "no"


def test_volumes_are_declared() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {mount for mount in mounts if re.fullmatch(r"\w+", mount)}
    assert named == set(load("docker-compose.yaml")["volumes"])
    for mount in mounts:
        assert not mount.startswith("./") or (DEPLOY / mount).is_file()


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    text = (DEPLOY / "docker-compose.yaml").read_text()
    used = dict(re.findall(r"\$\{(\w+)(:?[^}]*)\}", text))
    secret = {name for name in used if re.search("PASSWORD|TOKEN|SECRET|_KEY", name)}
    assert secret == {"POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD", "RAY_AUTH_TOKEN"}
    assert {used[name] for name in secret} == {":?set it in .env"}
    assert {EXAMPLE[name] for name in secret} == {""}
    assert set(used) == set(EXAMPLE), "the example names what the file reads, and nothing else"
    values = [
        str(value)
        for service in SERVICES.values()
        for variable, value in service.get("environment", {}).items()
        if re.search("PASSWORD|TOKEN|SECRET|_KEY|URL", variable)
    ]
    assert all("${" in value or value == "http://minio:9000" for value in values)


def test_the_env_file_is_not_committed() -> None:
    ignored = subprocess.run(["git", "check-ignore", "deploy/.env"], cwd=DEPLOY.parent, capture_output=True, text=True)
    if ignored.returncode == 128:
        pytest.skip("not a checkout")
    assert ignored.stdout.strip() == "deploy/.env"


def settled(word: str) -> str:
    """A word of a command with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word)


def commands() -> Iterator[tuple[str, list[str]]]:
    for name in OURS:
        words = [settled(word) for word in SERVICES[name]["command"]]
        if words[:2] == ["sh", "-c"]:
            for command in words[2].split("&&"):
                yield name, shlex.split(command)
        else:
            yield name, words
        check = SERVICES[name].get("healthcheck", {}).get("test", [])
        if check:
            assert check[0] == "CMD"
            yield f"{name}, health", check[1:]


def program_of(name: str) -> click.Command:
    """The command line of a program, as it is installed."""
    if name == "ray":
        need_module("ray")
        from ray.scripts.scripts import cli as ray

        return ray
    if name == "dagster":
        from dagster._cli import cli as dagster

        return dagster
    if name == "dagster-daemon":
        from dagster._daemon.cli import cli as daemon

        return daemon
    assert name == "dagster-webserver"
    from dagster_webserver.cli import dagster_webserver

    return dagster_webserver


def parse(command: click.Command, name: str, words: list[str]) -> None:
    """Read the words as the program would, without running it.

    Raises:
        click.UsageError: the program has no such command or option, or it wants another value.
    """
    context = command.make_context(name, list(words), resilient_parsing=isinstance(command, click.Group))
    if isinstance(command, click.Group):
        below, found, rest = command.resolve_command(context, words)
        assert found is not None
        parse(found, str(below), rest)


@pytest.mark.parametrize(("name", "words"), list(commands()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_one_that_its_program_knows(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2])
        words = ["dagster-webserver", *words[3:]]  # whose options it takes
    elif words[0] == "python":
        compile(words[-1], name, "exec")
        return
    words = [str(DEPLOY / "workspace.yaml") if word.endswith("workspace.yaml") else word for word in words]
    parse(program_of(words[0]), words[0], words[1:])


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(program_of("dagster"), "dagster", ["api", "grpc", "--no-such-option"])


def test_the_bucket_is_made_once_and_for_all(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (s3.environment | {"FA_STORAGE": "s3://made-by-compose/main"}).items():
        monkeypatch.setenv(name, value)
    interpreter, option, code = SERVICES["bucket"]["command"]
    assert (interpreter, option) == ("python", "-c")
    for _ in range(2):
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # as in a new process
        exec(compile(code, "bucket", "exec"), {})
    fsspec.filesystem("s3", skip_instance_cache=True).ls("made-by-compose")
