"""docs/reliability.md names tests that exist, and figures of the campaign that `make fuzz` runs."""

import ast
import re
from pathlib import Path

import pytest

import fa_assets_tests
from fa_assets_tests.fuzz.__main__ import main

TESTS = Path(fa_assets_tests.__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)


def test_promises_are_found() -> None:
    assert len(NAMED) > 40
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("|") and not re.match(r"\|[- |]+$|\| promise|\| seed", line)
    ]
    assert [row for row in rows if "::" not in row and not re.match(r"\| \d", row)] == []


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_promise_has_its_test(file: str, test: str) -> None:
    functions = [node.name for node in ast.parse((TESTS / file).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert test in functions


def test_the_campaign_is_the_one_that_make_fuzz_runs() -> None:
    default = {option.name: option.default for option in main.params}
    assert default["sounds"] >= 2_000 and default["tables"] >= 500
    assert f"takes {default['sounds']:,} mutated audio files" in PAGE
    assert f"and {default['tables']} mutated sets of tables" in PAGE
    assert re.search(rf"^\| {default['seed']} \| {default['sounds']:,} audio files \|", PAGE, flags=re.MULTILINE)
