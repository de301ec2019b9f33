"""The UI's pages in Debian's chromium, driven by Playwright; every page's console is listened to."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from fa_assets_tests.end_to_end.ui_server import TIMEOUT_S

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize

CHROMIUM = shutil.which("chromium")
REQUIRED = os.environ.get("FA_REQUIRE_BROWSER") == "1"
HOW_TO_INSTALL = "chromium is not installed: apt-get install chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_WINDOW: "ViewportSize" = {"width": 1600, "height": 1000}
_LARGE: "ViewportSize" = {"width": 2600, "height": 1900}
_MARGIN = 40
_SETTLED_MS = 400
"""For what moves on the page before a screenshot."""


class Pages:
    """One browser tab, over the webserver at `base`; without a folder for them, no screenshots are taken."""

    def __init__(self, page: "Page", base: str, screenshots: Path | None) -> None:
        self.page = page
        self.errors: list[str] = []
        self.base = base
        self._screenshots = screenshots
        page.context.set_default_timeout(TIMEOUT_S * 1000)
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def go(self, path: str, until: str) -> None:
        """Open a page in a window of the usual size, and wait until it shows a text."""
        self.window(**_WINDOW)
        self.page.goto(self.base + path)
        self.text(until).first.wait_for()

    def window(self, width: int, height: int) -> None:
        """Make the window as large as this, and wait until the page is."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function("size => innerWidth === size[0] && innerHeight === size[1]", arg=[width, height])

    def leave(self) -> None:
        """Open nothing, which asks the webserver nothing; what was just being asked may be broken off, not an error."""
        before = list(self.errors)
        self.page.goto("about:blank")
        self.errors[:] = before

    def text(self, text: str, *, exact: bool = False) -> "Locator":
        return self.page.get_by_text(text, exact=exact)

    def shows(self, *texts: str, exact: bool = False) -> None:
        """Wait until each text is on the page, be it scrolled out of view."""
        for text in texts:
            self.text(text, exact=exact).first.wait_for(state="attached")

    def button(self, name: str) -> "Locator":
        return self.page.get_by_role("button", name=name)

    def asset(self, name: str) -> None:
        """Open an asset's page, down to the metadata of its last materialization."""
        self.go(f"/assets/{name}", "Metadata")
        self.page.get_by_placeholder("Filter metadata keys").wait_for()

    def lineage(self, definitions: dg.Definitions) -> None:
        """Open the graph with all groups unfolded, in a large window and at a scale that shows every asset and edge.

        What is out of view, or too small, the page does not draw.
        """
        self.go(unfolded(definitions), "Materialize all")
        self.page.locator(NODES).first.wait_for()
        self.window(**_LARGE)
        self.page.get_by_label("panel_show_right").last.click()
        self.page.get_by_label("zoom_out").click()
        graph = definitions.resolve_asset_graph()
        assets = graph.get_all_asset_keys()
        for drawn, count in ((NODES, len(assets)), (EDGES, sum(len(graph.get(key).parent_keys) for key in assets))):
            there = "([drawn, count]) => document.querySelectorAll(drawn).length === count"
            self.page.wait_for_function(there, arg=[drawn, count])

    def picture(self, key: str) -> "Locator":
        """Scroll to the picture in the row of the metadata called `key`, once it is there."""
        row = self.page.get_by_role("row").filter(has=self.page.get_by_text(key, exact=True))
        image = row.locator("img")
        image.wait_for()
        self.show(key)
        return image

    def note(self, name: str, facts: Mapping[str, object]) -> None:
        """Keep some facts beside the screenshots."""
        if self._screenshots is not None:
            (self._screenshots / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")

    def show(self, text: str) -> None:
        """Scroll to a text, to the top of what is seen."""
        self.text(text, exact=True).first.evaluate("element => element.scrollIntoView({block: 'start'})")

    def keep(self, name: str, *, around: str | None = None) -> None:
        """Keep a screenshot, of the whole tab or of the part that holds all elements of a selector."""
        if self._screenshots is None:
            return
        self.page.wait_for_timeout(_SETTLED_MS)
        clip = None
        if around is not None:
            boxes = [box for one in self.page.locator(around).all() if (box := one.bounding_box()) is not None]
            left, top = (min(box[side] for box in boxes) - _MARGIN for side in ("x", "y"))
            right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
            bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
            clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        self.page.screenshot(path=self._screenshots / f"{name}.png", clip=clip)  # type: ignore[arg-type]


NODES = 'foreignObject[style*="overflow: visible"]'
EDGES = 'path[marker-end*="arrow"]'


def unfolded(definitions: dg.Definitions) -> str:
    """The path of the lineage page with all groups unfolded."""
    graph = definitions.resolve_asset_graph()
    groups = sorted({graph.get(key).group_name for key in graph.get_all_asset_keys()})
    return f"/asset-groups?expanded={','.join(f'global@global:{one}' for one in groups)}"


@contextmanager
def browsing(base: str, screenshots: Path | None, *, dark: bool = False) -> Iterator[Pages]:
    """A tab in a browser of its own; `dark` asks for the UI's dark theme."""
    from playwright.sync_api import sync_playwright

    if screenshots is not None:
        screenshots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            page = browser.new_page(viewport=_WINDOW, color_scheme="dark" if dark else "light")
            theme = "dark" if dark else "light"
            page.add_init_script(
                f"if (window.origin !== 'null') localStorage.setItem('theme', JSON.stringify('{theme}'))"
            )
            yield Pages(page, base, screenshots)
        finally:
            browser.close()
