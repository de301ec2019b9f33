"""The Dockerfile passes hadolint, and the image is what README.md says: from the lock files, unprivileged, without secrets."""

import re
import tomllib

import pytest

from fa_assets_tests.deploy.files import CHECKOUT, CPU_AND_CUDA, DEPLOY, program, verdict

LINES = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text()).splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in LINES if line.startswith(f"{name} ")]


def test_hadolint_has_nothing_to_say() -> None:
    assert verdict(program("hadolint"), "--failure-threshold", "style", DEPLOY / "Dockerfile") == (0, "")


def test_it_installs_what_the_locks_say() -> None:
    first, ours = [line for line in instructions("RUN") if "pip install" in line]
    assert "--constraint requirements.lock --constraint requirements-cluster.lock" in first
    assert "--no-deps" in ours
    (extras,) = [line.split('"')[1].split(",") for line in instructions("ARG") if line.startswith("EXTRAS=")]
    assert set(extras) <= set(
        tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )


def test_the_user_is_not_root_by_number() -> None:
    (user,) = instructions("USER")
    uid, gid = user.split(":")
    assert int(uid) > 0 < int(gid)
    assert f"--uid {uid} " in " ".join(instructions("RUN"))
    assert not [line for line in LINES[LINES.index(f"USER {user}") :] if line.startswith(("RUN", "COPY", "ADD"))]


@pytest.mark.parametrize("target", CPU_AND_CUDA)
def test_both_variants_are_stages_over_the_same_packages(target: str) -> None:
    assert f"base AS {target}" in instructions("FROM")


def test_what_it_copies_is_there_and_let_through() -> None:
    let_through = [
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    sources = [source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (CHECKOUT / source).exists(), source
    assert sorted(let_through) == sorted(sources)


def test_no_secret_is_built_in() -> None:
    words = " ".join([*instructions("ENV"), *instructions("ARG")])
    assert not re.search("PASSWORD|TOKEN|SECRET|_KEY", words)
