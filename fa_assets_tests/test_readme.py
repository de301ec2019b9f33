"""What the README tells to run can be run, and its pictures are there. Its tables are docs/tables.py's."""

import re
from pathlib import Path

import pytest

import fa_assets
from fa_assets.graph.recorder import Recorder
from fa_assets_tests.finished_run import FinishedRun

CHECKOUT = Path(fa_assets.__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", README, flags=re.DOTALL)
ORIGIN, WORST_CLASSES, _, SIMILAR_CLIPS = QUERIES


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs_and_gives_rows(query: str, finished: FinishedRun) -> None:
    rows = Recorder(storage=str(finished.settings.storage_root)).catalog.query(query)
    assert len(rows) > 0 or "run_diff" in query  # one run alone does not differ from itself


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z][a-z0-9]+)", README)) - {"sure"}))
def test_every_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/ui.md"])
def test_every_picture_is_there_and_small(page: str) -> None:
    paths = re.findall(r"!\[.+?\]\((.*?)\)", (CHECKOUT / page).read_text())
    assert paths
    for path in paths:
        assert 10_000 < (CHECKOUT / page).parent.joinpath(path).stat().st_size < 300_000, path
