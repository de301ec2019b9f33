"""The report of a real run on paper, in a real browser: nothing is cut, nothing is dark, folded tables are there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, REQUIRED, Pages, browsing
from fa_assets_tests.finished_run import FinishedRun

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)]

PAPER = {"A4": 182 / 25.4 * 96, "Letter": (8.5 * 25.4 - 28) / 25.4 * 96}
"""Pixels between the margins of 14 mm."""


@pytest.fixture(scope="module")
def tab(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The report, open in a browser whose owner likes it dark, as it is laid out for paper."""
    root = finished.settings.storage_root
    report = Path(str(root / ValueStore(root).read("report").table.to_pylist()[0]["path"]))
    with browsing("", tmp_path_factory.mktemp("printed"), dark=True) as tab:
        tab.page.goto(report.as_uri())
        tab.page.emulate_media(media="print", color_scheme="dark")
        yield tab


@pytest.mark.parametrize("paper", PAPER)
def test_nothing_is_cut_at_the_margin(tab: Pages, paper: str) -> None:
    width = int(PAPER[paper])
    tab.page.set_viewport_size({"width": width, "height": 1000})
    widest = tab.page.evaluate(
        "[...document.querySelectorAll('body *')].map(one => [one.getBoundingClientRect().right, one.outerHTML.slice(0, 99)])"
        ".sort((a, b) => b[0] - a[0])[0]"
    )
    assert widest[0] <= width, widest


def test_no_word_of_a_heading_is_divided(tab: Pages) -> None:
    tab.page.set_viewport_size({"width": int(PAPER["Letter"]), "height": 1000})
    heights = tab.page.evaluate(
        "[...document.querySelectorAll('th')].map(one => one.getBoundingClientRect().height /"
        " parseFloat(getComputedStyle(one).fontSize))"
    )
    assert len(heights) > 20
    assert max(heights) < 3, "one line, with its padding"


def test_it_is_dark_on_white(tab: Pages) -> None:
    style = "getComputedStyle(document.body)"
    assert tab.page.evaluate(f"{style}.backgroundColor") == "rgba(0, 0, 0, 0)"
    assert tab.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert tab.page.evaluate(f"{style}.color") == "rgb(0, 0, 0)"


def test_what_is_folded_away_on_the_screen_is_printed_but_for_the_long_provenance(tab: Pages) -> None:
    heights = tab.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('details:not([open]) table')]"
        ".map(one => [one.parentElement.ariaLabel, one.getBoundingClientRect().height]))"
    )
    assert heights["Settings"] > 100 and heights["Materializations"] == heights["Environment"] == 0
    assert "materializations and the environment are left out" in tab.page.content()


def test_it_has_at_most_six_pages(tab: Pages) -> None:
    assert 2 <= tab.page.pdf(format="A4").count(b"/Type /Page\n") <= 6
