"""The package of docs/encoders.md works as it stands there, installed by pip."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fa_assets.settings import Settings
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import make_small_dataset

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv1d(1, 16, 400, stride=160)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.layer(crops[:, None]).relu().mean(dim=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_package_of_the_page_is_installed_and_the_graph_embeds_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text()
    (code,), (project,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "toml"))
    source, site = tmp_path / "my-encoders", tmp_path / "site"
    source.mkdir()
    (source / "my_encoders.py").write_text(code)
    (source / "pyproject.toml").write_text(project)
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", site, source]
    subprocess.run(command, check=True)
    monkeypatch.syspath_prepend(site)
    torch.manual_seed(0)
    weights = tmp_path / "weights.pt"
    torch.jit.script(Network()).save(weights)
    make_small_dataset(tmp_path / "dataset")
    settings = Settings(
        dataset=tmp_path / "dataset",
        storage=tmp_path / "storage",
        encoder="exported",
        checkpoint=str(weights),
        pictures="off",
    )
    done = fa_assets("encoders", "check", "exported", settings=settings)
    assert done.exit_code == 0, done.stdout + done.stderr
    with environment_of(settings):
        assert run(settings, select="+mc5_embeddings").failures == ()
    header = ValueStore(settings.storage_root).header("mc5_embeddings", "0")
    assert header is not None and header.details["encoder"] == "exported"
