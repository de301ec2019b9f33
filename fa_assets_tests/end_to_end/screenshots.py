"""The pictures of the documentation, from the UI over what `make demo` materialized: ``python -m ... FOLDER``.

Each is a PNG of fewer than 300 kB, with a palette of its own.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fa_assets.definitions import defs
from fa_assets.settings import load_settings
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, NODES, Pages, browsing
from fa_assets_tests.end_to_end.ui_server import serving
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import run

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

MAX_BYTES = 300_000
_REVIEW: "ViewportSize" = {"width": 1280, "height": 900}
_STATUS_MS = 20_000
"""Until every asset on the graph has the colour of its state."""


def take(pages: Pages) -> None:
    """Visit the pages and keep a screenshot of each."""
    pages.lineage(defs())
    pages.page.get_by_label("zoom_out").click()  # the outermost boxes may still be cut off
    pages.page.wait_for_timeout(_STATUS_MS)
    pages.keep("lineage", around=NODES)
    pages.asset("comparison")
    pages.keep("asset")
    pages.show("is_the_gain_real")
    pages.keep("metadata")
    pages.picture("by_class")
    pages.keep("picture")
    pages.asset("mc5_metrics")
    pages.button("Plots").click()
    pages.show("expected_calibration_error")
    pages.keep("plots")
    pages.go("/assets/mc5_embeddings?view=partitions&partition=2", "Materialized (5)")
    pages.text("crops_reused_percent").wait_for()
    pages.keep("partitions")
    pages.go("/assets/mc5_metrics?view=checks&checkDetail=mc5_above_chance", "Passed")
    pages.keep("checks")
    pages.go("/automation", "nightly_refresh")
    pages.page.get_by_role("checkbox", checked=True).first.wait_for(state="attached")
    pages.keep("automation")


def take_review(pages: Pages) -> None:
    """The review page, at a clip that is longer than a crop."""
    pages.go("/review", "doubted labels decided")
    pages.page.set_viewport_size(_REVIEW)
    pages.page.locator("#spectrogram.loaded").wait_for()
    pages.page.keyboard.press(" ")
    pages.page.wait_for_timeout(_STATUS_MS)
    pages.page.keyboard.press(" ")
    pages.keep("review")


def shrink(path: Path) -> None:
    """Give a PNG a palette, which a page of a few colours fits in."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")


def main(folder: Path) -> None:
    if CHROMIUM is None:
        raise SystemExit(HOW_TO_INSTALL)
    settings = load_settings()
    with (
        tempfile.TemporaryDirectory() as scratch,
        serving(settings.as_environment(), Path(scratch) / "ui.log") as server,
    ):
        with browsing(server.url, folder) as pages:
            take(pages)
            take_review(pages)
        with browsing(server.url, folder, dark=True) as pages:
            pages.asset("mc5_metrics")
            pages.picture("lwlrap_per_class")
            pages.keep("dark")
    (row,) = ValueStore(settings.storage_root).read("report").table.to_pylist()
    with browsing(f"file://{settings.storage_root}/", folder) as pages:
        pages.go(row["path"], "Audio tagging report")
        pages.keep("report")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "storage"
        shutil.copytree(str(settings.storage_root), root, ignore=shutil.ignore_patterns("dagster_home"))
        other = settings.model_copy(update={"storage": str(root), "local": None, "regularization_c": 0.2})
        with environment_of(other):
            run(other)
        fa_assets("diff", "--html", str(root / "compare.html"), settings=other)
        with browsing(f"file://{root}/", folder) as pages:
            pages.go("compare.html", "b less a")
            pages.keep("compare")
    for path in sorted(folder.glob("*.png")):
        shrink(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
