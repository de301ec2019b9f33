"""What `deploy/` sets are settings that exist, with values that fit."""

import re
from pathlib import Path

import pytest

from fa_assets.settings import Settings, variable_of
from fa_assets_tests.deploy.files import DEPLOY, load

FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
KNOWN = {variable_of(name) for name in Settings.model_fields}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_exists(path: Path) -> None:
    named = set(re.findall(r"\bFA_[A-Z][A-Z0-9_]*", path.read_text()))
    assert named <= KNOWN


def environments() -> dict[str, dict[str, str]]:
    compose = load("docker-compose.yaml")["services"]["code-location"]["environment"]
    (chart,) = load("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    return {"compose": compose, "chart": chart["env"]}


@pytest.mark.parametrize("name", ["compose", "chart"])
def test_the_values_fit_and_mean_the_cluster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KNOWN:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environments()[name].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value))
    settings = Settings()
    assert settings.engine == "ray"
    assert settings.ray_address == "auto"
    assert str(settings.storage).startswith("s3://")
    assert settings.checkpoint_source == "published"
    assert str(settings.local) == "/var/lib/fa_assets"
