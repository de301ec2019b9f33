"""The wheel, away from the checkout: `fa-assets ui` in an empty folder serves the graph, and runs launched there work."""

import subprocess
import sys
import zipfile
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.store.ledger import Ledger
from fa_assets_tests.end_to_end.ui_server import serving, wait_for

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.promise(
    "`fa-assets ui` ends within 10 s of SIGTERM with all that it started, also where a script started it in the "
    "background; runs that were under way count as failed.",
    "stopped",
    "10 s, 1 run under way",
)
def test_the_ui_of_an_installed_wheel_works_in_an_empty_folder(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling: make install")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, folder, log = tmp_path / "site-packages", tmp_path / "folder", tmp_path / "ui.log"
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        content = {installed / name for name in archive.namelist()}

    with serving({"PYTHONPATH": str(installed), "FA_AUTOMATION": "stopped"}, log, folder) as server:
        under_way, ledger = server.launch("everything"), Ledger(folder / "data" / "demo" / "ledger")
        wait_for("it has made the clips", lambda: "curated_clips" in {one.asset for one in ledger.entries()})
        assert server.status(under_way) == "STARTED", log.read_text()
        assert {"refresh_what_is_stale", "say_what_failed"} == set(server.sensors())
    with dg.DagsterInstance.from_config(str(folder / "data" / "demo" / "dagster_home")) as instance:
        ended = instance.get_run_by_id(under_way)
        assert ended is not None
        assert ended.status is dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
    assert {"demo", "demo_dataset"} <= {path.name for path in (folder / "data").iterdir()}
    assert (folder / "data" / "demo" / "dagster_home").is_dir()
    assert {path for path in installed.rglob("*") if path.is_file() and path.suffix != ".pyc"} == content
