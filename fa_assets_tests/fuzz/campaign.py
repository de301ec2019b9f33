"""A campaign: cases are made in batches, a child process takes each batch in, and every case gets a verdict.

The child is watched from outside: when it dies, the case it was at has `crashed` it; when it says nothing for
`limit_s` seconds, the case has `hung`, and the child is killed. Either way the batch goes on behind that case.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from fa_assets_tests.fuzz.sounds import make_sound
from fa_assets_tests.fuzz.tables import make_tables, plant_traps

MEGABYTES = 1000
"""The child's address space, which its memory cannot exceed."""
LIMIT_S = 30.0
"""How long a case may take; the slowest takes well under a second on an idle machine."""
BATCH = 250
GOOD = ("accepted", "refused")


@dataclass(frozen=True)
class Verdict:
    """How one case was judged: accepted, refused, wrong, crashed or hung, and why."""

    name: str
    verdict: str
    reason: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Figures:
    """The verdicts of a campaign."""

    verdicts: tuple[Verdict, ...]

    @property
    def bad(self) -> list[Verdict]:
        """What must not be."""
        return [one for one in self.verdicts if one.verdict not in GOOD]

    def __str__(self) -> str:
        cases = [one for one in self.verdicts if one.name != "all at once"]
        counts = Counter(one.verdict for one in cases)
        parts = [
            f"{len(cases)} cases",
            *(f"{counts[verdict]} {verdict}" for verdict in (*GOOD, "wrong", "crashed", "hung")),
        ]
        parts.append(f"slowest {max(one.seconds for one in cases):.2f} s")
        parts.append(f"peak memory {max(one.peak_mb for one in self.verdicts):.0f} MB")
        return ", ".join(parts)


def fuzz_sounds(seed: int, indices: Sequence[int], keep: Path | None = None) -> Figures:
    """Take mutated audio files in; those that must not be are copied to `keep`."""
    verdicts: list[Verdict] = []
    for start in range(0, len(indices), BATCH):
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "train_curated").mkdir()
            cases = dict(make_sound(seed, index) for index in indices[start : start + BATCH])
            for fname, content in cases.items():
                (folder / "train_curated" / fname).write_bytes(content)
            (folder / "train_curated.csv").write_text("fname,labels\n" + "".join(f"{fname},Bark\n" for fname in cases))
            batch = judge_in_child("sounds", folder, [*cases, "all at once"])
        _keep({one.name: cases.get(one.name, b"") for one in batch if one.verdict not in GOOD}, keep)
        verdicts += batch
    return Figures(tuple(verdicts))


def fuzz_tables(seed: int, indices: Sequence[int], keep: Path | None = None) -> Figures:
    """Take mutated CSV tables in; those that must not be are copied to `keep`."""
    with TemporaryDirectory() as name:
        shared, folder = Path(name) / "shared", Path(name) / "cases"
        plant_traps(shared)
        cases: dict[str, dict[str, bytes]] = {f"{index:06}": make_tables(seed, index) for index in indices}
        for case, files in cases.items():
            (folder / case).mkdir(parents=True)
            (folder / case / "train_curated").symlink_to(shared / "train_curated")
            for table, content in files.items():
                (folder / case / table).write_bytes(content)
        verdicts = judge_in_child("tables", folder, list(cases))
    for one in verdicts:
        if one.verdict not in GOOD:
            _keep({f"{one.name}-{table}": content for table, content in cases[one.name].items()}, keep)
    return Figures(tuple(verdicts))


def judge_in_child(
    kind: str, folder: Path, names: Sequence[str], *, limit_s: float = LIMIT_S, worker: Sequence[str] = ()
) -> list[Verdict]:
    """The verdicts of a folder of cases, which the child judges in the order of `names`."""
    verdicts: list[Verdict] = []
    while len(verdicts) < len(names):
        command = [
            *(worker or (sys.executable, "-m", "fa_assets_tests.fuzz.worker")),
            kind,
            str(folder),
            str(MEGABYTES),
        ]
        with (
            TemporaryFile() as errors,
            subprocess.Popen(
                [*command, str(len(verdicts))],
                stdout=subprocess.PIPE,
                stderr=errors,  # a pipe would fill up: the MP3 decoder has much to say
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            ) as child,
        ):
            verdicts += _listen(child, errors, names[len(verdicts) :], limit_s)
    return verdicts


def _listen(child: subprocess.Popen[bytes], errors: IO[bytes], names: Sequence[str], limit_s: float) -> list[Verdict]:
    """What a child says, and what became of it where it does not come to the end."""
    assert child.stdout is not None
    verdicts: list[Verdict] = []
    said = b""
    since = time.monotonic()
    while len(verdicts) < len(names):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, since + limit_s - time.monotonic()))
        if not ready:
            child.kill()
            return [*verdicts, Verdict(names[len(verdicts)], "hung", f"nothing for {limit_s} s", limit_s, 0.0)]
        piece = os.read(child.stdout.fileno(), 1 << 16)
        if not piece:
            status = child.wait()
            errors.seek(0)
            reason = f"exit status {status}: {errors.read().decode(errors='replace')[-1000:]}"
            return [*verdicts, Verdict(names[len(verdicts)], "crashed", reason, time.monotonic() - since, 0.0)]
        *lines, said = (said + piece).split(b"\n")
        for line in lines:
            verdicts.append(Verdict(**json.loads(line)))
            since = time.monotonic()
    return verdicts


def _keep(files: dict[str, bytes], keep: Path | None) -> None:
    if keep is not None and files:
        keep.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (keep / name).write_bytes(content)
