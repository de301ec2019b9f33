"""The UI as a person sees it: real webserver, daemon and browser over a copy of the small finished run with past runs.

The folder FA_SCREENSHOTS, where it is set, gets a screenshot of every page.
"""

import os
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import defs
from fa_assets.settings import Settings
from fa_assets.store.ledger import LedgerEntry
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, REQUIRED, Pages, browsing, unfolded
from fa_assets_tests.end_to_end.ui_server import Site, Webserver, served_site, wait_for
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.local_server import Answer, Server
from fa_assets_tests.runs import run

pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)

DEFINITIONS = defs()
GRAPH = DEFINITIONS.resolve_asset_graph()
FOLDS = list("01234")
MANY_PAST_RUNS = 200
SCREENSHOTS = Path(os.environ["FA_SCREENSHOTS"]) if os.environ.get("FA_SCREENSHOTS") else None


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    """Where a browser is required, there being none is a failure and not a skip."""
    assert CHROMIUM is not None, HOW_TO_INSTALL


@pytest.fixture(scope="module")
def browser() -> Iterator[Pages]:
    """A process can have one at a time."""
    with browsing("", SCREENSHOTS) as tab:
        yield tab


@contextmanager
def without_errors(tab: Pages, server: Webserver) -> Iterator[Pages]:
    """The tab over a webserver; its console must have no error in the end. Then it is empty, and asks the server nothing."""
    tab.base = server.url
    tab.errors.clear()
    yield tab
    tab.leave()
    assert tab.errors == []


@pytest.fixture
def pages(browser: Pages, site: Site) -> Iterator[Pages]:
    with without_errors(browser, site.server) as tab:
        yield tab


def pages_with_history(server: Webserver) -> dict[str, str]:
    """Paths of pages that show past runs, and what they show when they are there."""
    newest, of_metrics = server.newest_run(), server.newest_run_of("mc5_metrics")
    return {
        "/assets/mc5_metrics?view=events": of_metrics[:8],
        "/runs": newest[:8],
        "/locations/fa_assets/jobs/everything/runs": of_metrics[:8],
        f"/runs/{of_metrics}": "Success",
    }


def test_past_runs_show(pages: Pages, site: Site) -> None:
    for path, until in pages_with_history(site.server).items():
        pages.go(path, until)


@pytest.mark.heavy
def test_pages_open_with_200_past_runs(browser: Pages, illustrated: FinishedRun, tmp_path: Path) -> None:
    seconds = {}
    with (
        served_site(illustrated, tmp_path, MANY_PAST_RUNS) as site,
        without_errors(browser, site.server) as pages,
    ):
        for path, until in {
            "/asset-groups": "Materialize all",
            "/assets/mc5_metrics": "lwlrap_fold_0",
            "/assets/mc5_metrics?view=checks": "Passed",
            "/assets/mc5_embeddings?view=partitions": "Materialized (5)",
            "/automation": "Automation",
            **pages_with_history(site.server),
        }.items():
            started = time.perf_counter()
            pages.go(path, until)
            seconds[path] = round(time.perf_counter() - started, 2)
        pages.note("page_seconds", seconds)


def test_the_lineage_page_shows_every_asset_and_edge(pages: Pages) -> None:
    pages.lineage(DEFINITIONS)
    pages.keep("lineage")


def test_the_unfolded_graph_is_legible_in_a_window_of_1440_by_900(pages: Pages) -> None:
    pages.go("/", "Lineage")
    pages.page.evaluate("localStorage.setItem('asset-graph-direction', JSON.stringify('vertical'))")
    pages.window(1440, 900)
    pages.page.goto(pages.base + unfolded(DEFINITIONS))
    names = pages.page.locator('[class*="AssetNode_minimalName"]')
    names.nth(len(GRAPH.get_all_asset_keys()) - 1).wait_for()
    measure = """names => names.map(one => {
        const [name, box] = [one, one.parentElement].map(each => each.getBoundingClientRect());
        const size = parseFloat(getComputedStyle(one).fontSize) * name.width / one.offsetWidth;
        return [one.textContent, size, name.width <= box.width && name.height <= box.height];
    })"""
    measured = names.evaluate_all(measure)
    pages.page.evaluate("localStorage.removeItem('asset-graph-direction')")
    for name, size, fits in measured:
        assert size >= 8.5 and fits, (name, size)


def test_the_asset_page_shows_words_metadata_table_and_picture(pages: Pages, site: Site) -> None:
    with environment_of(site.settings):
        drawn = run(site.settings.model_copy(update={"pictures": "on"}), select="mc5_metrics", force=True)
    assert drawn.failures == ()
    pages.asset("mc5_metrics")
    pages.keep("asset")
    pages.shows("label-ranking average precision", "audio", "crop_scheme: mc5", "evaluation.py", "lwlrap_fold_0")
    pages.shows("weight", exact=True)  # in the column schema
    for name in ("Tone", "Noise", "Click", "Sweep"):  # in the table of classes
        pages.page.get_by_role("cell", name=name, exact=True).first.wait_for(state="attached")
    image = pages.picture("lwlrap_per_class")
    pages.keep("picture")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300


def test_long_names_cut_nothing_off_an_assets_tables(pages: Pages) -> None:
    pages.asset("mc5_metrics")
    pages.window(1440, 900)
    cells = pages.page.locator("td table td:first-child")
    cells.first.wait_for()
    hidden = """cells => {
        cells.forEach(one => { one.textContent = 'Male_speech_of_a_man_speaking' });
        const place = cells[0].closest('[class*="ScrollContainer"]');
        return place.scrollWidth - place.clientWidth;
    }"""
    assert cells.evaluate_all(hidden) == 0


def test_checks_show_as_passed(pages: Pages) -> None:
    pages.go("/assets/center_metrics?view=checks", "center_predictions_complete")
    pages.text("Passed", exact=True).first.wait_for()
    pages.keep("checks_passed")
    assert pages.text("Failed", exact=True).count() == 0


def test_the_partitions_page_is_complete(pages: Pages) -> None:
    pages.go("/assets/mc5_embeddings?view=partitions&partition=2", "Materialized (5)")
    pages.text("crops_reused_percent").wait_for()
    pages.keep("partitions")
    pages.shows("Missing (0)", "Failed (0)")


def test_the_automation_page_shows_what_is_declared_and_pauses_it(pages: Pages, site: Site) -> None:
    declared = [*(DEFINITIONS.sensors or []), *(DEFINITIONS.schedules or [])]
    assert {one.name for one in declared} >= {"refresh_what_is_stale", "nightly_refresh"}
    pages.go("/automation", "nightly_refresh")
    for one in declared:
        pages.text(one.name, exact=True).first.wait_for()
    pages.keep("automation")
    on = {name for name, state in site.server.sensors().items() if state == "RUNNING"}
    assert on == {"say_what_failed"}, "it is on whatever FA_AUTOMATION says"
    row = pages.page.locator("[data-index]").filter(has_text="say_what_failed")
    switch, on = row.get_by_role("checkbox").last, row.get_by_role("checkbox", checked=True, disabled=False)
    on.wait_for(state="attached")
    switch.evaluate("box => box.click()")  # the box itself is hidden behind its drawing
    wait_for("it is off", lambda: site.server.sensors()["say_what_failed"] == "STOPPED")
    off = row.get_by_role("checkbox", checked=False, disabled=False)  # as is the box that selects the row
    off.nth(1).wait_for(state="attached")
    pages.keep("automation_paused")
    switch.evaluate("box => box.click()")
    wait_for("it is on again", lambda: site.server.sensors()["say_what_failed"] == "RUNNING")
    on.wait_for(state="attached")


def test_one_fold_is_materialized_from_the_buttons(pages: Pages, site: Site) -> None:
    server = site.server
    before = server.runs_of("mc5_embeddings")
    assert set(before) == set(FOLDS), "what the command made is there"
    pages.asset("mc5_embeddings")
    pages.button("Materialize").first.click()
    pages.text("Select a partition or create one").click()
    pages.page.get_by_role("menuitem", name="2").click()
    pages.keep("materialize_one_fold")
    pages.button("Launch 1 run").click()
    wait_for("the run is there", lambda: bool(server.runs_going()))
    pages.leave()
    wait_for("fold 2 is materialized", lambda: server.runs_of("mc5_embeddings")["2"] != before["2"])
    now = server.runs_of("mc5_embeddings")
    assert {fold for fold in now if now[fold] != before[fold]} == {"2"}
    wait_for("the run ends", lambda: not server.runs_going())
    assert server.status(now["2"]) == "SUCCESS"
    pages.go(f"/runs/{now['2']}", "Success")
    pages.keep("run")


@pytest.mark.promise(
    "A run terminated in the UI (real webserver and daemon) is CANCELED within seconds, its places in the pools are "
    "free, the next run reuses its crops.",
    "stopped",
    "a run of 5 folds: 0 half-written, 0 places taken",
)
def test_all_folds_are_one_run_which_is_terminated_on_its_page_and_the_next_one_goes_on(
    pages: Pages, site: Site
) -> None:
    settings, server = site.settings, site.server
    storage = settings.local_root
    before = {path: path.read_bytes() for path in (storage / "values" / "center_embeddings").glob("**/*.parquet")}
    entries = set((storage / "ledger").iterdir())
    backfills = server.backfills()
    shutil.rmtree(storage / "embedding_store")
    pages.asset("mc5_embeddings")
    pages.button("Materialize").first.click()
    pages.button("All").click()
    pages.keep("materialize_all_folds")
    pages.button("Launch backfill").click()
    wait_for("the backfill is there", lambda: bool(server.backfills() - backfills))
    pages.leave()
    wait_for("a run is there", lambda: bool(server.runs_going()))
    (run_id,) = server.runs_going()
    process = process_of(run_id, settings)
    wait_for("a crop is stored", lambda: any((storage / "embedding_store").glob("**/*.parquet")), every_s=0.002)
    os.kill(process, signal.SIGSTOP)  # so that it is still at it when the page is there
    try:
        pages.go(f"/runs/{run_id}", "Started")
        pages.button("Terminate").first.click()
        pages.keep("terminate")
        pages.page.get_by_role("dialog").get_by_role("button", name=re.compile("Terminate")).click()
        wait_for("it is told to stop", lambda: server.status(run_id) == "CANCELING")
    finally:
        os.kill(process, signal.SIGCONT)
    wait_for("the run is cancelled", lambda: server.status(run_id) not in ("CANCELING", "STARTED"))
    assert server.status(run_id) == "CANCELED"
    assert {path: path.read_bytes() for path in before} == before
    command = Path(f"/proc/{process}/cmdline")
    wait_for("its process has ended", lambda: not command.exists() or not command.read_bytes())

    with environment_of(settings), dg.DagsterInstance.get() as instance:
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
        outcome = run(settings.model_copy(update={"batch_size": None}), select="mc5_embeddings", force=True)
    assert outcome.failures == ()
    assert [path for path in storage.glob("**/.*.tmp") if "dagster_home" not in path.parts] == []
    new = [LedgerEntry.from_json(path.read_bytes()) for path in set((storage / "ledger").iterdir()) - entries]
    assert {entry.run_id for entry in new} == {outcome.run_id}, "one run for all folds, which ended with none of them"
    assert {entry.partition for entry in new} == set(FOLDS)
    assert sum(int(entry.metadata["crops_reused"]) for entry in new) > 0  # type: ignore[arg-type,misc]


SET_LIMIT = 'mutation { setConcurrencyLimit(concurrencyKey: "gpu", limit: 7) }'
LIMIT = '{ instance { concurrencyLimit(concurrencyKey: "gpu") { slotCount } } }'
ATTACKS = """async ([ui, query]) => {
  const json = JSON.stringify({query}), address = ui + '/graphql', asked = address + '?query=' + encodeURIComponent(query);
  const types = ['application/json', 'text/plain', 'text/plain; application/json', 'application/graphql'];
  const tries = types.map(type => fetch(address, {method: 'POST', body: json, headers: {'Content-Type': type}}));
  for (const mode of ['cors', 'no-cors']) {
    tries.push(fetch(asked, {mode}), fetch(asked, {mode, method: 'POST', body: json}));
    tries.push(fetch(asked, {mode, method: 'HEAD'}), fetch(ui + '/server_info'));
  }
  for (const tag of ['img', 'script', 'iframe', 'form']) {
    const element = document.body.appendChild(document.createElement(tag));
    if (tag === 'form') {
      Object.assign(element, {method: 'POST', action: asked, target: document.querySelector('iframe').name = 'frame'});
      element.submit();
    } else {
      element.src = asked;
    }
  }
  const socket = new WebSocket(address.replace('http', 'ws'), 'graphql-ws');
  const opened = new Promise(done => { socket.onopen = () => done('opened'); socket.onerror = () => done('refused'); });
  const told = (await Promise.allSettled(tries)).filter(one => one.value && one.value.type !== 'opaque');
  await new Promise(done => setTimeout(done, 1000));
  return [await opened, told.length];
}"""


@pytest.mark.promise(
    "A web page of another origin changes nothing over an open UI and is told nothing, by whatever request, form, frame or "
    "socket; nor is another host name answered.",
    "input",
    "chromium, by 2 host names: 0 changes",
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_steers_nothing(
    pages: Pages, site: Site, serve: Callable[..., Server], host: str
) -> None:
    def limit() -> int:
        return int(site.server.ask(LIMIT)["instance"]["concurrencyLimit"]["slotCount"])

    before = limit()
    page = serve(Answer(body=b"<html><body></body></html>", headers={"Content-Type": "text/html"}))
    pages.page.goto(page.root.replace("127.0.0.1", host))
    for ui in (site.server.url, site.server.url.replace("127.0.0.1", "localhost")):
        assert pages.page.evaluate(ATTACKS, [ui, SET_LIMIT]) == ["refused", 0]
    assert limit() == before
    pages.leave()  # what its page was refused is in the console by then
    pages.errors.clear()

    pages.go("/runs", "Runs")
    own = "async query => (await fetch('/graphql', {method: 'POST', body: JSON.stringify({query}),"
    own += " headers: {'Content-Type': 'application/json'}})).status"
    assert pages.page.evaluate(own, SET_LIMIT) == 200, "the UI's own page may"
    assert limit() == 7
    pages.page.evaluate(own, SET_LIMIT.replace("7", str(before)))
    request = urllib.request.Request(f"{site.server.url}/runs", headers={"Host": "rebound.example:3000"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def process_of(run_id: str, settings: Settings) -> int:
    """The process that executes the steps of a run, as soon as it does."""
    found: list[str] = []

    def says(instance: dg.DagsterInstance) -> bool:
        for entry in instance.all_logs(run_id):
            found.extend(re.findall(r"Executing steps in process \(pid: (\d+)\)", entry.message))
        return bool(found)

    with environment_of(settings), dg.DagsterInstance.get() as instance:
        wait_for("the run's process computes", lambda: says(instance))
    return int(found[0])


def test_a_damaged_set_shows_as_a_failed_check_with_its_message(pages: Pages, site: Site) -> None:
    settings = site.settings
    clip = settings.dataset / "train_curated" / "02.wav"
    sound = clip.read_bytes()
    with environment_of(settings):
        try:
            clip.write_bytes(b"RIFF")
            outcome = run(settings.model_copy(update={"on_bad_clip": "skip"}), select="curated_clips")
            assert outcome.failures == ()
            pages.go("/assets/curated_clips?view=checks&checkDetail=every_clip_used", "every_clip_used")
            pages.text("1 clips left out").first.wait_for()
            pages.text("02.wav").first.wait_for()
            pages.keep("checks_failed")
            pages.shows("Failed", exact=True)
        finally:
            clip.write_bytes(sound)
            run(settings, select="curated_clips")


def test_the_report_opens_from_its_file_with_pictures_and_sound(pages: Pages, illustrated: FinishedRun) -> None:
    storage = illustrated.settings.storage_root
    (row,) = ValueStore(storage).read("report").table.to_pylist()
    asked: list[str] = []
    pages.page.on("request", lambda request: asked.append(request.url))
    pages.page.goto((storage / row["path"]).as_uri())
    pages.keep("report")
    assert pages.page.evaluate("[...document.images].every(image => image.complete && image.naturalHeight === 64)")
    assert pages.page.locator("figure > svg").count() >= 8
    seconds = pages.page.evaluate(
        "async () => { const sound = document.querySelector('audio'); sound.load();"
        " await new Promise((done, fail) => { sound.onloadedmetadata = done; sound.onerror = fail; });"
        " return sound.duration; }"
    )
    assert 0.2 < seconds <= 4.1
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
