"""`make torture`: whole runs are killed at random moments; the next run heals all, and gives an undisturbed run's numbers.

    python -m fa_assets_tests.torture [--kills 100] [--seed 0]

A storage folder is run on until a run ends by itself; then everything about it is looked at, and the next one begins. Crops go
through the network one by one, so that the numbers are the same bit for bit, wherever a run was interrupted.
"""

import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import dagster as dg
import numpy as np

from fa_assets.encoders.cnn14.checkpoint import NARROW
from fa_assets.graph.liveness import UNFINISHED
from fa_assets.settings import Settings
from fa_assets.store.compaction import verify
from fa_assets.store.embedding_store import embedding_stores
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.commands import start
from fa_assets_tests.finished_run import checkpoint
from fa_assets_tests.small_dataset import make_small_dataset

_NAMED_BY_RUN = {"report", "notebook_artifacts", "final_classifier", "submission", "cnn14_checkpoint"}
"""Assets whose values name files, runs or times beside their numbers."""


@dataclass
class Campaign:
    """What became of it: kills, how many values were there at each, runs that healed, and what was wrong."""

    kills: int
    values_at_kill: list[int]
    healed: int
    wrong: list[str]


def torture(folder: Path, kills: int, seed: int) -> Campaign:
    """Kill runs on small datasets in `folder` that many times, in the first half of a whole run's time: they go on where
    others were killed, and so are shorter."""
    make_small_dataset(folder / "dataset")
    rng = np.random.default_rng(seed)
    undisturbed = _settings(folder, "undisturbed")
    started = time.monotonic()
    code, _ = _run(undisturbed, folder / "said", None)
    seconds = time.monotonic() - started
    campaign = Campaign(0, [], 0, _wrong(undisturbed, {}) if code == 0 else [(folder / "said").read_text()])
    expected = numbers(undisturbed)
    while campaign.kills < kills and not campaign.wrong:
        settings, said = _settings(folder, f"storage-{campaign.healed}"), folder / f"said-{campaign.healed}"
        code = None
        while code is None:
            code, there = _run(settings, said, float(rng.uniform(0, seconds / 2)) if campaign.kills < kills else None)
            if code is None:
                campaign.kills += 1
                campaign.values_at_kill.append(there)
        campaign.wrong += _wrong(settings, expected) if code == 0 else [f"exit status {code}: {said.read_text()}"]
        campaign.healed += 1
        click.echo(f"{campaign.kills} kills, {campaign.healed} healed, wrong: {campaign.wrong or 'nothing'}")
    return campaign


def _settings(folder: Path, name: str) -> Settings:
    weights = str(checkpoint(NARROW))
    of = {"dataset": folder / "dataset", "storage": folder / name, "checkpoint": weights}
    return Settings(**of, batch_size=1, pictures="off", min_lwlrap=0)


def _run(settings: Settings, said: Path, kill_after_s: float | None) -> tuple[int | None, int]:
    """Run everything; the exit status, None where it was killed, and how many values are there."""
    process = start(settings, "run", output=said)
    process.join(kill_after_s)
    if process.exitcode is None:
        process.kill()
        process.join()
    killed = process.exitcode == -signal.SIGKILL
    return None if killed else process.exitcode, len(Ledger(settings.storage_root / "ledger").ids())


def numbers(settings: Settings) -> dict[str, str]:
    """A digest of every stored value of numbers, by its path."""
    root, values = settings.local_root, ValueStore(settings.storage_root)
    found = {}
    for path in sorted(values.folder.glob("**/[!.]*.parquet")):
        asset, *fold = path.parent.relative_to(values.folder).parts
        if asset not in _NAMED_BY_RUN:
            table = values.read(asset, fold[0].removeprefix("fold=") if fold else None).table
            rows = repr(table.to_pylist()).replace(str(root), "")
            found[str(path.relative_to(root))] = hashlib.sha256(rows.encode()).hexdigest()
    return found


def _wrong(settings: Settings, expected: dict[str, str]) -> list[str]:
    """What is not as it should be after a run that ended well."""
    root = settings.local_root
    wrong = [f"left behind: {path}" for path in (*root.rglob(".*.tmp"), *root.glob("dagster_home/alive/*"))]
    made = numbers(settings)
    wrong += [f"{name} differs" for name in sorted(expected) if made.get(name) != expected[name]]
    for store in embedding_stores(settings.storage_root):
        wrong += [f"damaged: {one}" for one in verify(store).damaged]
    entries = list(Ledger(settings.storage_root / "ledger").entries())
    wrong += [f"{len(entries)} ledger entries of {len(made)} values"] * (len(entries) < len(made))
    with dg.DagsterInstance.from_config(str(root / "dagster_home")) as instance:
        wrong += [f"still {run.status.value}: {run.run_id}" for run in instance.get_runs(UNFINISHED)]
        wrong += [f"claimed: {one}" for one in instance.event_log_storage.get_concurrency_info("gpu").claimed_slots]
    said = root / "said-again"
    code, _ = _run(settings, said, None)
    if code != 0 or "Everything is current" not in said.read_text():
        wrong.append(f"run again: {code}, {said.read_text()}")
    return wrong


@click.command()
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(kills: int, seed: int) -> None:
    """Kill whole runs at random moments; exit with 1 where the next run does not heal all."""
    started = time.monotonic()
    with TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as folder:
        campaign = torture(Path(folder), kills, seed)
    there = campaign.values_at_kill
    click.echo(
        f"{campaign.kills} kills, with {min(there, default=0)} to {max(there, default=0)} values recorded at the time "
        f"(median {np.median(there or [0]):.0f}); {campaign.healed} folders healed, {len(campaign.wrong)} things wrong; "
        f"{time.monotonic() - started:.0f} s"
    )
    for line in campaign.wrong:
        click.echo(line)
    sys.exit(bool(campaign.wrong))


if __name__ == "__main__":
    main()
