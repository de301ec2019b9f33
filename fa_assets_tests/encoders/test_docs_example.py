"""The encoder of docs/encoders.md works as it stands there."""

import re
from pathlib import Path

import pytest
import torch

from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.encoders.tiny import installed

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv1d(1, 16, 400, stride=160)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return self.layer(crops[:, None]).relu().mean(dim=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_example_of_the_page_is_a_sound_encoder(tmp_path: Path) -> None:
    text = PAGE.read_text()
    (code,), (entry,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "toml"))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "my_encoders.py").write_text(code)
    name, value = re.findall(r'^(\w+) = "(.*)"$', entry, re.MULTILINE)[0]
    torch.manual_seed(0)
    torch.jit.script(Network()).save(tmp_path / "weights.pt")
    with installed(tmp_path / "site", **{name: value}):
        done = fa_assets(
            "encoders", "check", name, "--checkpoint", str(tmp_path / "weights.pt"), "--storage", str(tmp_path)
        )
    assert done.exit_code == 0, done.stdout + done.stderr
