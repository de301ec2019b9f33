"""The report and two runs side by side, of 80 classes, in a real browser: on a desk, on a phone, on paper, for everybody."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fa_assets.catalog.tracing import Difference, Run, RunDifferences
from fa_assets.report.compare import compare_page
from fa_assets.report.content import page_of
from fa_assets.report.page import render
from fa_assets_tests.end_to_end.axe import axe, serious_findings
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, REQUIRED, Pages, browsing
from fa_assets_tests.report.made_up import AT, evaluated, predictions, ranks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)]

CLIPS, CLASSES = 800, 80
PAGES = ("report", "compare")


def write_pages(folder: Path, clips: int, classes: int, sounds: int) -> Path:
    """`report.html` and `compare.html`."""
    run = evaluated(clips, classes, folder, sounds=sounds)
    (folder / "report.html").write_text(render(page_of(run, dataset="birds", run_id="run-1")))
    runs = [Run(f"{one}1234567890", AT + timedelta(days=1), AT, 3, (), None, None, {}) for one in "ab"]
    differs = tuple(
        Difference("data", f"mc5_embeddings[{n}]", "0123456789abcdef", "fedcba9876543210") for n in range(5)
    )
    differs += (Difference("setting", "mc5_oof_predictions.C", "1.0", "2.0"),)
    page = compare_page(
        RunDifferences(*runs, differs), ranks(predictions(clips, classes, seed=2)), run.ranks, run.local_clips
    )
    (folder / "compare.html").write_text(render(page))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pages(tmp_path_factory.mktemp("pages"), CLIPS, CLASSES, 20)


@pytest.fixture(scope="module")
def small_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With every kind of element that the others have, each fewer times."""
    return write_pages(tmp_path_factory.mktemp("small"), 80, 8, 3)


@pytest.fixture(scope="module")
def tab(folder: Path) -> Iterator[Pages]:
    with browsing("", None) as tab:
        yield tab


def open_page(tab: Pages, folder: Path, name: str, width: int = 1600) -> None:
    """With everything that is folded away shown, as who reads all of it has it."""
    tab.page.goto((folder / f"{name}.html").as_uri())
    tab.window(width, 900)
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(tab: Pages, folder: Path, name: str, width: int) -> None:
    open_page(tab, folder, name, width)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == width
    wider = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth)"
    assert tab.page.evaluate(f"{wider}.map(one => one.getAttribute('aria-label'))") == []


@pytest.mark.parametrize("name", PAGES)
def test_a_desktop_is_used_in_its_full_width(tab: Pages, folder: Path, name: str) -> None:
    open_page(tab, folder, name, 1920)
    assert tab.page.evaluate("document.querySelector('.figures').getBoundingClientRect().width") > 1700


@pytest.mark.parametrize("name", PAGES)
def test_it_prints_on_at_most_six_pages(tab: Pages, folder: Path, name: str) -> None:
    tab.page.goto((folder / f"{name}.html").as_uri())
    assert 1 <= tab.page.pdf(format="A4").count(b"/Type /Page\n") <= 6


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(tab: Pages, small_pages: Path, name: str) -> None:
    script = axe()
    open_page(tab, small_pages, name)
    # A picture is one image, with a text for those who do not see it; what it is drawn of is for nobody.
    tab.page.evaluate("document.querySelectorAll('svg[role=img]').forEach(one => one.replaceChildren())")
    assert serious_findings(tab.page, script) == []
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(background)
    try:
        tab.page.emulate_media(color_scheme="dark")
        assert tab.page.evaluate(background) != light
        assert serious_findings(tab.page, script, ["color-contrast"]) == []
    finally:
        tab.page.emulate_media(color_scheme="light")


def test_axe_finds_what_is_wrong(tab: Pages) -> None:
    tab.page.goto("about:blank")
    tab.page.set_content("<main><h1 style='color: #999; background: #fff'>Faint</h1><img src='data:,'></main>")
    found = " ".join(serious_findings(tab.page, axe()))
    assert "color-contrast" in found and "image-alt" in found


def test_the_map_says_plays_and_colours(tab: Pages, folder: Path) -> None:
    tab.errors.clear()
    open_page(tab, folder, "report")
    said = tab.page.locator(".map output")
    point = tab.page.locator(".map circle").nth(7)
    fill = "getComputedStyle(document.querySelectorAll('.map circle')[7]).fill"
    colours = set()
    for by in ("class", "fold", "doubt"):
        tab.page.get_by_role("radio", name=by).check()
        colours.add(tab.page.evaluate(fill))
        assert tab.page.locator(f".keys[data-by={by}]").is_visible()
    assert tab.page.locator(".keys:visible").count() == 1
    assert len(colours) == 3, "other classes, fold 2, a label looks missing"
    point.dispatch_event("pointerover", {"bubbles": True})
    assert said.inner_text().startswith("00007.wav: Class_07, Class_62; fold 2; doubted: missing label ")
    tab.page.evaluate(
        "() => { window.heard = []; HTMLMediaElement.prototype.play = function() { heard.push(this.src.slice(0, 15)); } }"
    )
    first = tab.page.locator("audio").first.get_attribute("data-clip")
    number = int(str(first).removesuffix(".wav"))
    tab.page.locator(".map circle").nth(number).dispatch_event("click", {"bubbles": True})
    assert tab.page.evaluate("heard") == ["data:audio/mpeg"]
    tab.page.locator(".map svg").focus()
    tab.page.keyboard.press("ArrowRight")
    assert not said.inner_text().startswith(str(first))
    tab.page.evaluate("document.querySelectorAll('audio').forEach(one => one.remove())")
    silent = next(n for n in range(CLIPS) if f"{n:05}.wav" not in tab.page.content().partition('"sounds"')[2])
    tab.page.locator(".map circle").nth(silent).dispatch_event("click", {"bubbles": True})
    assert said.inner_text().endswith("Its sound is not in this file.")
    assert tab.errors == []
