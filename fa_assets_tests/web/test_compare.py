"""Two runs side by side: the page of the server, and the file of the command."""

from pathlib import Path

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import run
from fa_assets_tests.web.conftest import served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def twice(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str, str]:
    """Two runs, the second with another C."""
    settings = finished.copy(tmp_path_factory.mktemp("twice")).model_copy(update={"regularization_c": 0.5})
    with environment_of(settings):
        outcome = run(settings, select="+report")
    assert outcome.failures == ()
    return settings, finished.outcome.run_id, outcome.run_id


def test_the_page_compares_two_runs_by_their_ids_and_the_newest_two_without(
    twice: tuple[Settings, str, str], tmp_path: Path
) -> None:
    settings, before, after = twice
    client = served(settings, tmp_path)
    page = client.get("/compare", params={"a": before, "b": after})
    assert page.status_code == 200 and f"Run {before[:8]} and run {after[:8]}" in page.text
    assert "mc5_oof_predictions.C" in page.text and "Clips that changed rank most" in page.text
    assert "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert client.get("/compare").text == page.text
    assert f'href="/compare?a={before}&amp;b={after}"' in client.get("/reports").text
    report = client.get(f"/reports/{after}.html").text
    assert "Since the run before" in report and f"run {before[:8]} of" in report


def test_what_cannot_be_compared_says_why(twice: tuple[Settings, str, str], tmp_path: Path) -> None:
    settings, before, after = twice
    client = served(settings, tmp_path)
    (settings.storage_root / "reports" / f"{before}.parquet").rename(tmp_path / "kept")
    try:
        answer = client.get("/compare", params={"a": before, "b": after})
        assert answer.status_code == 404 and "kept nothing to compare it by" in answer.text
        assert client.get("/compare").status_code == 404
    finally:
        (tmp_path / "kept").rename(settings.storage_root / "reports" / f"{before}.parquet")
    assert client.get("/compare", params={"a": "nothing", "b": after}).status_code == 404


def test_the_command_writes_the_same_page(twice: tuple[Settings, str, str], tmp_path: Path) -> None:
    settings, before, after = twice
    file = tmp_path / "diff.html"
    done = fa_assets("diff", before, after, "--html", str(file), settings=settings)
    assert (done.exit_code, done.stdout.strip()) == (0, str(file))
    assert file.read_text() == served(settings, tmp_path).get("/compare", params={"a": before, "b": after}).text
