"""The review page as a person uses it, in a real browser, beside Dagster's pages."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fa_assets.intake.corrections import NAME, in_force, read_corrections
from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.axe import axe, serious_findings
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, REQUIRED, Pages, browsing
from fa_assets_tests.end_to_end.ui_server import Site, wait_for
from fa_assets_tests.graph.test_refresh_sensor import EMBEDDINGS, INTAKE, METRICS, PREDICTIONS, add_clip
from fa_assets_tests.small_dataset import N_CLIPS

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Route

pytestmark = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)

KEYS = {"missing label": "a", "wrong label": "n"}
VERDICTS = {"a": "add", "n": "remove", "y": "keep", "u": "unsure"}
SCREENSHOTS = Path(os.environ["FA_SCREENSHOTS"]) if os.environ.get("FA_SCREENSHOTS") else None
PHONE = 390
RUN = """
query($id: ID!) {
  runOrError(runId: $id) { ... on Run { jobName repositoryOrigin { repositoryLocationName } tags { key value } } }
}"""


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Pages]:
    with browsing(site.server.url, SCREENSHOTS) as tab:
        yield tab


@pytest.fixture
def pages(browser: Pages, site: Site) -> Iterator[Pages]:
    """A tab; afterwards there is no verdict, and its console had no error."""
    browser.errors.clear()
    try:
        yield browser
        browser.leave()
        assert browser.errors == []
    finally:
        browser.page.unroute_all()
        (site.settings.dataset / NAME).unlink(missing_ok=True)


def test_five_doubts_are_reviewed_by_keyboard_and_undone(pages: Pages, site: Site) -> None:
    audit = ValueStore(site.settings.storage_root).read("label_audit").table.slice(0, 5).to_pylist()
    assert len(audit) == 5
    pages.go("/assets/label_audit", "/review")
    with pages.page.expect_popup() as opened:
        pages.page.get_by_role("link", name="/review").first.click()
    opened.value.get_by_text(f"“{audit[0]['class_name']}” looks").first.wait_for()
    opened.value.close()

    pages.go("/review", f"“{audit[0]['class_name']}” looks")
    tab = pages.page
    tab.locator("#neighbours li").first.wait_for()
    assert tab.locator("#neighbours li, #duplicates li").count() >= 6

    tab.keyboard.press(" ")
    wait_for("it plays", lambda: tab.evaluate("document.getElementById('player').currentTime > 0.05"))
    assert tab.evaluate("document.getElementById('player').seekable.end(0)") > 0.2
    wait_for("its picture is there", lambda: tab.evaluate("document.getElementById('spectrogram').naturalWidth > 10"))
    pages.keep("review")

    keys = [KEYS[audit[0]["kind"]], "y", "u", KEYS[audit[3]["kind"]], "y"]
    for number, (row, key) in enumerate(zip(audit, keys, strict=True), 1):
        tab.locator("#said", has_text=row["fname"]).wait_for()
        assert row["class_name"] in str(tab.locator("#heading").text_content())
        tab.keyboard.press(key)
        pages.text(f"{number} of").wait_for()
    given = in_force(read_corrections(site.settings.dataset))
    assert {key: one.verdict for key, one in given.items()} == {
        (row["fname"], row["class_name"]): VERDICTS[key] for row, key in zip(audit, keys, strict=True)
    }
    pages.text("2 corrections are not in the results yet").wait_for()

    tab.keyboard.press("z")
    pages.text("4 of").wait_for()
    assert str(tab.locator("#said").text_content()).startswith(audit[4]["fname"])
    assert len(in_force(read_corrections(site.settings.dataset))) == 4

    other = tab.locator(".change:enabled").first
    label = str(other.get_attribute("aria-label"))
    tab.keyboard.press(str(other.get_attribute("data-place")))
    tab.locator(f".change:disabled[aria-label='{label}']").wait_for()
    verdict, name = label.split(" ", 1)
    assert in_force(read_corrections(site.settings.dataset))[audit[4]["fname"], name].verdict == verdict
    tab.keyboard.press("z")
    tab.locator(f".change:enabled[aria-label='{label}']").wait_for()
    assert len(in_force(read_corrections(site.settings.dataset))) == 4

    tab.locator("#kind").select_option("wrong label")
    tab.locator("#list button").first.wait_for()
    assert tab.locator("#list i.missing").count() == 0


def test_no_refresh_is_offered_while_a_clip_has_no_label_left(pages: Pages, site: Site) -> None:
    labels = {
        row["fname"]: row["labels"] for row in ValueStore(site.settings.storage_root).read("folds").table.to_pylist()
    }
    tab = pages.page
    pages.go("/review", "doubted labels decided")
    tab.locator("#kind").select_option("wrong label")
    only = next(row for row in tab.locator("#list button").all() if len(labels[_fname_in(row.locator("small"))]) == 1)
    fname = _fname_in(only.locator("small"))
    only.click()
    tab.locator("#top button").first.wait_for()
    tab.keyboard.press("n")
    tab.locator("#unlabelled", has_text=fname).wait_for()
    assert str(tab.locator("#said").text_content()).startswith(fname), "the clip stays on the page"
    assert tab.locator("#refresh").is_hidden()
    tab.locator("#top button").first.wait_for()
    tab.keyboard.press(str(tab.locator("#top button").first.get_attribute("data-place")))
    tab.locator("#unlabelled").wait_for(state="hidden")
    pages.text("2 corrections are not in the results yet").wait_for()
    tab.keyboard.press("z")
    tab.locator("#unlabelled", has_text=fname).wait_for()


def _fname_in(small: "Locator") -> str:
    return str(small.text_content()).partition(",")[0]


def test_what_waits_is_right_however_late_dagster_answers(pages: Pages, site: Site) -> None:
    late: list[Route] = []
    tab = pages.page
    tab.route(
        "**/graphql",
        lambda route: late.append(route) if "sensorOrError" in str(route.request.post_data) else route.continue_(),
    )
    pages.go("/review", "doubted labels decided")
    tab.locator("#kind").select_option("missing label")
    tab.locator("#heading").focus()
    tab.keyboard.press("a")
    pages.text("1 correction is not in the results yet.").wait_for()
    assert not pages.text("Nothing watches for them").is_visible()
    (asked,) = late
    asked.continue_()
    pages.text("1 correction is not in the results yet. Nothing watches for them").wait_for()


def test_what_was_asked_before_a_clip_was_shown_again_is_not_drawn(pages: Pages) -> None:
    late: list[Route] = []
    tab = pages.page
    tab.route("**/review/clip?*", lambda route: route.continue_() if late else late.append(route))
    pages.go("/review", "doubted labels decided")
    tab.keyboard.press("j")
    tab.keyboard.press("k")
    tab.locator("#top tr").first.wait_for()
    nothing: dict[str, object] = {key: [] for key in ("labels", "duplicates", "neighbours", "crops")}
    late[0].fulfill(json={**nothing, "top": {}, "verdicts": {}, "seconds": 1})
    tab.evaluate("fetch('/review/state').then(answer => answer.json())")
    assert tab.locator("#top tr").count() > 0


def test_a_refresh_that_fails_is_said(pages: Pages, site: Site) -> None:
    """Dagster's answers are made up, so that no run is."""
    answers = {
        "launchRun(": {"launchRun": {"run": {"runId": "fails"}}},
        "runOrError(": {"runOrError": {"status": "FAILURE"}},
    }

    def answer(route: "Route") -> None:
        asked = str(route.request.post_data)
        said = next((one for name, one in answers.items() if name in asked), None)
        route.fulfill(json={"data": said}) if said else route.continue_()

    tab = pages.page
    tab.route("**/graphql", answer)
    pages.go("/review", "doubted labels decided")
    tab.locator("#kind").select_option("missing label")
    tab.keyboard.press("Escape")
    tab.locator("#heading").focus()
    tab.keyboard.press("a")
    pages.button("Refresh now").click()
    pages.text("The refresh failed").wait_for()
    assert tab.get_by_role("link", name="look at it in Dagster").get_attribute("href") == "/runs/fails"
    assert pages.button("Refresh now").is_enabled()


def test_axe_finds_nothing_serious(pages: Pages) -> None:
    script = axe()
    pages.go("/review", "doubted labels decided")
    pages.page.locator("#neighbours li").first.wait_for()
    assert serious_findings(pages.page, script) == []


def test_it_fits_a_phone(pages: Pages) -> None:
    pages.go("/review", "doubted labels decided")
    pages.page.locator("#neighbours li").first.wait_for()
    pages.window(PHONE, 844)
    for unfolded in (False, True):
        if unfolded:
            pages.page.locator("details.note summary").click()
        assert pages.page.evaluate("document.documentElement.scrollWidth") == PHONE
    pages.go("/reports", "the newest")
    pages.window(PHONE, 844)
    assert pages.page.evaluate("document.documentElement.scrollWidth") == PHONE
    pages.page.get_by_role("link", name="UTC").first.click()
    pages.text("Audio tagging report").first.wait_for()


def test_a_refresh_follows_with_a_new_score_and_the_next_one_by_itself(pages: Pages, site: Site) -> None:
    """From a doubted label to the corrected one and the new report, without leaving the browser. Then the verdict is taken
    back, a clip comes into the folder, and nobody presses anything: the daemon makes all new in one run."""
    values = ValueStore(site.settings.storage_root)
    n_labels = {row["fname"]: len(row["labels"]) for row in values.read("folds").table.to_pylist()}
    doubts = values.read("label_audit").table.to_pylist()
    # Of a clip whose only label is taken there is no refresh.
    place = next(i for i, one in enumerate(doubts) if one["kind"] == "missing label" or n_labels[one["fname"]] > 1)
    doubt = doubts[place]
    tab = pages.page
    try:
        pages.go("/review", "doubted labels decided")
        for one in doubts[:place]:
            tab.locator("#said", has_text=one["fname"]).wait_for()
            tab.keyboard.press("j")
        tab.locator("#said", has_text=doubt["fname"]).wait_for()
        tab.keyboard.press(KEYS[doubt["kind"]])
        pages.text("1 correction is not in the results yet").wait_for()
        pages.button("Refresh now").click()
        tab.get_by_role("link", name="look at it in Dagster").wait_for()
        wait_for("the results are there", pages.text("The results were made again").is_visible)
        assert not site.server.runs_going()
        tab.locator("#waiting").wait_for(state="hidden")
        folds = {row["fname"]: row["labels"] for row in values.read("folds").table.to_pylist()}
        assert (doubt["class_name"] in folds[doubt["fname"]]) == (doubt["kind"] == "missing label")
        tab.get_by_role("link", name="Report", exact=True).click()
        pages.text("Audio tagging report").first.wait_for()
        pages.text("Corrected labels").first.wait_for(state="attached")
        pages.go("/review", "in the run before")
        pages.go("/compare", "b less a")
        tab.get_by_text(doubt["fname"]).first.wait_for(state="attached")
    finally:
        (site.settings.dataset / NAME).unlink(missing_ok=True)
        add_clip(site.settings)
        made = made_by_the_daemon(site)
    assert_one_whole_refresh(site, made)


Entries = dict[tuple[str, str | None], LedgerEntry]


def made_by_the_daemon(site: Site) -> Entries:
    """What the sensor has made once it is on, by asset and fold."""
    ledger = Ledger(site.settings.storage_root / "ledger")
    before = set(ledger.ids())

    def new() -> Entries:
        entries = [entry for entry in ledger.entries() if entry.id not in before]
        made = {(entry.asset, entry.partition): entry for entry in entries}
        assert len(made) == len(entries), "nothing is made twice"
        return made

    with site.server.running("refresh_what_is_stale"):
        wait_for("all is new", lambda: ("report", None) in new() and not site.server.runs_going())
    return new()


def assert_one_whole_refresh(site: Site, made: Entries) -> None:
    assert made.keys() >= INTAKE | EMBEDDINGS | PREDICTIONS | METRICS
    (run_id,) = {entry.run_id for entry in made.values()}
    ran = site.server.ask(RUN, id=run_id)["runOrError"]
    assert (ran["jobName"], ran["repositoryOrigin"]["repositoryLocationName"]) == ("everything", "fa_assets")
    assert {"key": "from", "value": "sensor"} in ran["tags"]
    assert ("cnn14_checkpoint", None) not in made
    assert made["curated_clips", None].metadata["rows"] == N_CLIPS + 1
    counts = Counter[str]()
    for part in EMBEDDINGS:
        facts = made[part].metadata
        counts.update({what: int(str(facts[what])) for what in ("crops_computed", "crops_reused")})
    # The schemes share the centre crop; one clip is over 10 s and has five distinct crops.
    assert counts == {"crops_computed": 1, "crops_reused": 2 * N_CLIPS + 4 + 1}
    read = {(one.asset, one.partition): one.source_id for one in made["mc5_oof_predictions", None].inputs}
    assert {made[part].id for part in EMBEDDINGS if part[0] == "mc5_embeddings"} < {*read.values()}
    (predictions,) = made["mc5_metrics", None].inputs
    assert predictions.source_id == made["mc5_oof_predictions", None].id


FRESHNESS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      freshnessStatusInfo { freshnessStatus }
      internalFreshnessPolicy { ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds } }
    }
  }
}"""


def test_the_daemon_evaluates_the_freshness_of_metrics(site: Site) -> None:
    def status(asset: str) -> str | None:
        node = site.server.ask(FRESHNESS, path=[asset])["assetNodeOrError"]
        return None if node["freshnessStatusInfo"] is None else str(node["freshnessStatusInfo"]["freshnessStatus"])

    wait_for("the metrics count as fresh", lambda: status("mc5_metrics") == "HEALTHY")
    policy = site.server.ask(FRESHNESS, path=["mc5_metrics"])["assetNodeOrError"]["internalFreshnessPolicy"]
    day = 24 * 3600
    assert (policy["failWindowSeconds"], policy["warnWindowSeconds"]) == (30 * day, 15 * day)
    assert status("mc5_embeddings") is None
