"""The tables of the docs that the code knows: written where they stand, and found when they are out of date."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import fa_assets

SCRIPT = Path(fa_assets.__file__).parents[1] / "docs" / "tables.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a copy of the pages."""
    spec = importlib.util.spec_from_file_location("docs_tables", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    copies = []
    for page in module.PAGES:
        copies.append(tmp_path / page.relative_to(module.CHECKOUT))
        copies[-1].parent.mkdir(exist_ok=True)
        copies[-1].write_text(page.read_text())
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    monkeypatch.setattr(module, "PAGES", copies)
    return module


def test_a_table_that_is_out_of_date_is_named_and_written(script: ModuleType) -> None:
    page = next(page for page in script.PAGES if page.name == "settings.md")
    current = page.read_text()
    assert CliRunner().invoke(script.main, ["--check"]).exit_code == 0
    page.write_text(current.replace("`FA_PRECISION`", "`FA_PRECISE`"))
    found = CliRunner().invoke(script.main, ["--check"])
    assert found.exit_code == 1
    assert "docs/settings.md: the table 'settings' is out of date." in found.output and "make docs" in found.output
    assert "`FA_PRECISE`" in page.read_text()
    assert CliRunner().invoke(script.main, []).exit_code == 0
    assert page.read_text() == current


def test_a_table_that_nothing_makes_is_an_error(script: ModuleType) -> None:
    page = script.PAGES[0]
    page.write_text(page.read_text() + "\n<!-- table: recipes -->\n\nx\n\n<!-- end of table -->\n")
    found = CliRunner().invoke(script.main, [])
    assert found.exit_code == 1 and "'recipes'" in found.output
