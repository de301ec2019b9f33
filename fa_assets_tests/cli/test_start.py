"""The console script before the command is imported."""

import subprocess
import sys

import pytest

from fa_assets.cli.interruption import INTERRUPTED

INTERRUPTED_IMPORT = """
import os, signal, sys, time

class Interrupting:
    def find_spec(name, *_):
        if name == "fa_assets.cli.main":
            os.kill(os.getpid(), signal.{signal})
            time.sleep(5)

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
sys.meta_path.insert(0, Interrupting)
from fa_assets.cli.start import entry
entry()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_the_command_is_imported_is_one_line(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.replace("{signal}", name)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, INTERRUPTED.strip())
