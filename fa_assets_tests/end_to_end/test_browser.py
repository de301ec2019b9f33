"""The UI as a person sees it: real webserver, daemon and browser over a copy of the small finished run with 200 past runs.

Screenshots of all pages are kept in the folder FA_SCREENSHOTS, or else among pytest's temporary files.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import defs
from fa_assets.runner import run
from fa_assets.settings import Settings
from fa_assets.storage.values import ValueStore
from fa_assets_tests.end_to_end.pages import CHROMIUM, EDGES, HOW_TO_INSTALL, NODES, REQUIRED, Pages, browsing
from fa_assets_tests.end_to_end.past_runs import add_past_runs
from fa_assets_tests.end_to_end.ui_server import Webserver, serving, wait_for
from fa_assets_tests.finished_run import FinishedRun, environment_of

pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)

GRAPH = defs.resolve_asset_graph()
FOLDS = list("01234")


PAST_RUNS = 200
A_FEW_SECONDS = 20.0
"""What no page may take, also where other work keeps the machine busy."""


@dataclass(frozen=True)
class Site:
    """A UI that is being served: its webserver, what it serves, and the id of the newest run."""

    server: Webserver
    settings: Settings
    newest_run: str


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    """Where a browser is required, there being none is a failure and not a skip."""
    assert CHROMIUM is not None, HOW_TO_INSTALL


@pytest.fixture(scope="module")
def site(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ui")
    settings = finished.copy(folder)
    assert finished.outcome.run_id is not None
    newest = add_past_runs(settings.local_root / "dagster_home", finished.outcome.run_id, PAST_RUNS)
    log = folder / "ui.log"
    with serving(settings, log) as webserver:
        yield Site(webserver, settings, newest)
    said = log.read_text()
    shutil.rmtree(folder)  # 200 runs are some 400 MB
    assert "Warning" not in said


@pytest.fixture(scope="module")
def browser(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = Path(os.environ.get("FA_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    with browsing(site.server.url, folder) as tab:
        yield tab


@pytest.fixture
def pages(browser: Pages) -> Iterator[Pages]:
    """The tab, whose console must have no error when the test is done."""
    browser.errors.clear()
    yield browser
    assert browser.errors == []


def test_definitions_load_and_pages_open_in_a_few_seconds_with_200_past_runs(pages: Pages, site: Site) -> None:
    seconds = {}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import fa_assets.definitions"], check=True)
    seconds["definitions"] = time.perf_counter() - started
    for path, until in {
        "/asset-groups": "Materialize all",
        "/assets/mc5_metrics": "lwlrap_fold_0",
        "/assets/mc5_metrics?view=events": site.newest_run[:8],
        "/assets/mc5_metrics?view=checks": "Passed",
        "/assets/mc5_embeddings?view=partitions": "Materialized (5)",
        "/automation": "Automation",
        "/runs": site.newest_run[:8],
        f"/runs/{site.newest_run}": "Success",
    }.items():
        started = time.perf_counter()
        pages.go(path, until)
        seconds[path] = time.perf_counter() - started
    pages.note("page_seconds", {path: round(took, 2) for path, took in seconds.items()})
    assert max(seconds.values()) < A_FEW_SECONDS, seconds


def test_the_lineage_page_shows_every_asset_and_edge(pages: Pages) -> None:
    assets = GRAPH.get_all_asset_keys()
    pages.lineage(len(assets))
    pages.keep("lineage")
    assert pages.page.locator(NODES).count() == len(assets)
    edges = sum(len(GRAPH.get(key).parent_keys) for key in assets)
    assert pages.page.locator(EDGES).count() == edges > len(assets)


def test_the_asset_page_shows_words_metadata_table_and_picture(pages: Pages) -> None:
    pages.asset("mc5_metrics")
    pages.keep("asset")
    for text in ("label-ranking average precision", "audio", "crop_scheme: mc5", "evaluation.py", "lwlrap_fold_0"):
        assert pages.text(text).first.is_visible() or pages.text(text).count(), text
    assert pages.text("precision_sum", exact=True).count(), "the column schema"
    for name in ("Tone", "Noise", "Click", "Sweep"):
        assert pages.page.get_by_role("cell", name=name, exact=True).count(), "the table of classes"
    image = pages.picture("lwlrap_per_class")
    pages.keep("picture")
    assert image.evaluate("image => image.complete && image.naturalWidth") > 400
    pages.page.keyboard.press("Escape")


def test_checks_show_as_passed(pages: Pages) -> None:
    pages.go("/assets/mc5_metrics?view=checks", "mc5_predictions_complete")
    pages.text("Passed", exact=True).first.wait_for()
    pages.keep("checks_passed")
    assert pages.text("Failed", exact=True).count() == 0


def test_the_partitions_page_is_complete(pages: Pages) -> None:
    pages.go("/assets/mc5_embeddings?view=partitions&partition=2", "Materialized (5)")
    pages.text("crops_reused_share").wait_for()
    pages.keep("partitions")
    assert pages.text("Missing (0)").is_visible()
    assert pages.text("Failed (0)").is_visible()


def test_the_automation_page_shows_what_is_declared_and_running_and_pauses_it(pages: Pages) -> None:
    declared = [*(defs.sensors or []), *(defs.schedules or [])]
    assert {one.name for one in declared} >= {"recordings_changed", "refresh_what_is_stale", "nightly_refresh"}
    pages.go("/automation", "nightly_refresh")
    for one in declared:
        pages.text(one.name, exact=True).first.wait_for()
    pages.keep("automation")
    running = (dg.DefaultSensorStatus.RUNNING, dg.DefaultScheduleStatus.RUNNING)
    assert all(one.default_status in running for one in declared)
    switches = pages.page.get_by_role("checkbox", checked=True)
    assert switches.count() == len(declared)

    # Paused, as a person would pause them; the tests below are alone with what they start.
    for left in range(len(declared) - 1, -1, -1):
        switches.first.evaluate("box => box.click()")  # the box itself is hidden behind its drawing
        wait_for("one more is off", lambda left=left: switches.count() == left)
    pages.go("/automation", "nightly_refresh")
    pages.keep("automation_paused")
    assert switches.count() == 0


def test_one_fold_and_then_all_are_materialized_from_the_buttons(pages: Pages, site: Site) -> None:
    server = site.server
    before = server.runs_of("mc5_embeddings")
    assert before == dict.fromkeys(FOLDS, site.newest_run), "what the command made is there"

    pages.asset("mc5_embeddings")
    pages.button("Materialize").first.click()
    pages.text("Select a partition or create one").click()
    pages.page.get_by_role("menuitem", name="2").click()
    pages.keep("materialize_one_fold")
    pages.button("Launch 1 run").click()
    wait_for("fold 2 is materialized", lambda: server.runs_of("mc5_embeddings")["2"] != before["2"])
    one = server.runs_of("mc5_embeddings")
    assert {fold for fold in one if one[fold] != before[fold]} == {"2"}

    pages.asset("mc5_embeddings")
    pages.button("Materialize").first.click()
    pages.button("All").click()
    pages.keep("materialize_all_folds")
    pages.button("Launch backfill").click()
    wait_for(
        "every fold is materialized again",
        lambda: not {*before.values(), one["2"]} & set(server.runs_of("mc5_embeddings").values()),
    )
    runs = set(server.runs_of("mc5_embeddings").values())
    assert len(runs) == 1, "one run for all folds, so that the weights are loaded once"
    (run_id,) = runs
    wait_for("the run ends", lambda: server.status(run_id) in ("SUCCESS", "FAILURE"))
    assert server.status(run_id) == "SUCCESS"
    pages.go(f"/runs/{run_id}", "Success")
    pages.keep("run")


def test_a_damaged_set_shows_as_a_failed_check_with_its_message(pages: Pages, site: Site) -> None:
    settings = site.settings
    (settings.dataset / "train_curated" / "02.wav").write_bytes(b"RIFF")
    with environment_of(settings):
        outcome = run(settings.model_copy(update={"on_bad_clip": "skip"}), select="curated_clips")
    assert outcome.failures == ()
    pages.go("/assets/curated_clips?view=checks&checkDetail=every_clip_used", "every_clip_used")
    pages.text("1 clips left out").first.wait_for()
    pages.text("02.wav").first.wait_for()
    pages.keep("checks_failed")
    assert pages.text("Failed", exact=True).count()


def test_the_report_opens_from_its_file_with_pictures_and_sound(
    pages: Pages, site: Site, finished: FinishedRun
) -> None:
    (row,) = ValueStore(finished.settings.storage_root).read("report").table.to_pylist()
    asked: list[str] = []
    pages.page.on("request", lambda request: asked.append(request.url))
    pages.page.goto((finished.settings.storage_root / row["path"]).as_uri())
    pages.keep("report")
    assert pages.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 300)")
    seconds = pages.page.evaluate(
        "async () => { const sound = document.querySelector('audio'); sound.load();"
        " await new Promise((done, fail) => { sound.onloadedmetadata = done; sound.onerror = fail; });"
        " return sound.duration; }"
    )
    assert 0.2 < seconds <= 4.0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
