"""The programs of `fa-assets ui` end together, with all that they started."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fa_assets.cli import ui
from fa_assets.errors import UserError
from fa_assets.graph.made_with import made_with, remember
from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.ui_server import wait_for
from fa_assets_tests.processes import living_in_group

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals are handled as before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_where_one_ends_all_end_and_what_they_started(
    handlers: None, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(ui, "_END_WITHIN_S", 1.0)
    with (
        pytest.raises(UserError, match="ended with status (3|-9), and the UI with it"),
        ui._ended_together() as all_,
    ):
        for program in (PARENT, code):
            command = [sys.executable, "-c", program]
            all_.append(subprocess.Popen(command, process_group=all_[0].pid, stdout=subprocess.PIPE))
            if program == PARENT:
                assert all_[1].stdout is not None
                all_[1].stdout.readline()  # the grandchild is there, and deaf
        while True:
            ui._require_all([*all_])
    wait_for("nobody is left", lambda: not living_in_group(all_[0].pid))


@pytest.mark.promise(
    "`fa-assets ui` leaves none of its programs behind, also where it is killed by SIGKILL.",
    "stopped",
    "a program that ignores SIGTERM is gone 5 s later",
)
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_where_it_is_killed_all_end_and_what_they_started() -> None:
    program = f"""
import subprocess, sys
from fa_assets.cli import ui
ui._END_WITH_PARENT = ui._END_WITH_PARENT.replace("sleep 5", "sleep 0.5")
with ui._ended_together() as all_:
    group = all_[0].pid
    deaf = subprocess.Popen([sys.executable, "-c", {PARENT!r}], process_group=group, stdout=subprocess.PIPE)
    deaf.stdout.readline()
    print(group, flush=True)
    deaf.wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        group = int(killed.stdout.readline())
        assert len(living_in_group(group)) == 3
        killed.kill()
    wait_for("nobody is left", lambda: not living_in_group(group))


def test_other_settings_than_the_storage_was_made_with_are_refused_with_both_values(tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path, regularization_c=4.0, pictures="on")
    ui._require_same_settings(settings)  # nothing is known yet
    remember(settings.storage_root, settings.deciding)
    assert made_with(tmp_path)["regularization_c"] == "4.0"
    ui._require_same_settings(settings.model_copy(update={"pictures": "off", "device": "cpu"}))
    with pytest.raises(
        UserError, match=r"regularization_c 4\.0, now 2\.0.*\(--regularization-c 4\.0\), or with --remake"
    ):
        ui._require_same_settings(Settings(storage=tmp_path))
    for name, other in (("near_duplicates", "group"), ("calibration", "platt"), ("threshold_rule", "precision=0.9")):
        with pytest.raises(UserError, match=name):
            ui._require_same_settings(settings.model_copy(update={name: other}))
    with pytest.raises(UserError, match=r"experiments none, now all\..*\(no --experiments\)"):
        ui._require_same_settings(settings.model_copy(update={"experiments": "all"}))
    (tmp_path / "settings.json").write_text("{")
    ui._require_same_settings(Settings(storage=tmp_path))
