"""CPU seconds of a process and all it starts, also of those that end before it and whose parent does not wait for them.

Ray's node process ignores its children's ends, so no rusage has them: the tree is looked at several times a second, and what
a process was last seen to have used is what counts. Linux alone; elsewhere the figure is 0.
"""

import os
import subprocess
import threading
from pathlib import Path

_EVERY_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")


class CpuWatch(threading.Thread):
    """Watches a process tree until `stop`, which gives its CPU seconds."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._tree = {root}
        self._seen: dict[tuple[int, str], float] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._look()

    def stop(self) -> float:
        self._ended.set()
        self.join()
        return sum(self._seen.values())

    def _look(self) -> None:
        processes = [found for path in Path("/proc").glob("[0-9]*") if (found := _stat(path))]
        parents = {pid: parent for pid, parent, _, _ in processes}
        # A process whose parent ended hangs on another one, but is remembered.
        while more := {pid for pid, parent in parents.items() if parent in self._tree} - self._tree:
            self._tree |= more
        for pid, _, started, seconds in processes:
            if pid in self._tree:
                self._seen[pid, started] = seconds


def run_and_watch(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """Run a command; what it printed, and the CPU seconds of its tree.

    Raises:
        subprocess.CalledProcessError: it failed; what it said went to stderr.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        watch = CpuWatch(process.pid)
        watch.start()
        said, _ = process.communicate()
        seconds = watch.stop()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return said, seconds


def _stat(path: Path) -> tuple[int, int, str, float] | None:
    """(pid, parent, start, CPU seconds) of a process, from proc_pid_stat(5)."""
    try:
        fields = (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(path.name), int(fields[1]), fields[19], (int(fields[11]) + int(fields[12])) / _TICKS
