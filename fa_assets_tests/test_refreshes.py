"""docs/refreshes.md lists every asset check as it is defined, with advice that the check itself gives."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fa_assets
from fa_assets.audio.crops import SCHEMES
from fa_assets.definitions import build_definitions
from fa_assets.settings import Settings

SOURCE = Path(fa_assets.__file__).parent
PAGE = (SOURCE.parent / "docs" / "refreshes.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (blocking|warning) \| (.+) \| (.+) \|$", PAGE, flags=re.MULTILINE)


def test_the_table_of_checks_is_that_of_the_definitions() -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    defined = set()
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        kind = "blocking" if spec.blocking else "warning"
        defined.add((key.name, key.asset_key.to_user_string(), kind, spec.description))
    told = {tuple(text.replace("SCHEME", scheme) for text in row[:4]) for row in ROWS for scheme in SCHEMES}
    assert told == defined


@pytest.mark.parametrize(("check", "advice"), [(row[0], row[4]) for row in ROWS])
def test_the_advice_is_the_checks_own(check: str, advice: str) -> None:
    said = [text for file in _sources() for text in _texts(ast.parse(file.read_text()))]
    assert any(advice.lower() in text.lower() for text in said), check


def _sources() -> list[Path]:
    return [*(SOURCE / "checks").glob("*.py"), SOURCE / "evaluation" / "gate.py"]


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every text in the code, f-strings with the crop scheme as SCHEME."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else "SCHEME"
                if isinstance(part, ast.FormattedValue) and ast.unparse(part.value) == "scheme"
                else "..."
                for part in node.values
            )
