"""A real run, killed at random moments: what was stored is kept, at most the batch under way is lost, and in the end every
number is the one of a run that nobody killed."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from fa_assets.settings import Settings
from fa_assets.store.embedding_store import EmbeddingStore, embedding_stores
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.commands import batches, note_batches, one_process, start
from fa_assets_tests.end_to_end.test_refresh import vectors
from fa_assets_tests.end_to_end.ui_server import wait_for
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import plan, run
from fa_assets_tests.small_dataset import make_small_dataset

BATCH = 2
KILLS = 3
SELECTION = "+mc5_embeddings,+center_embeddings"
COMMAND = ("run", "--select", SELECTION)


def the_store(settings: Settings) -> EmbeddingStore | None:
    return next(iter(embedding_stores(settings.storage_root)), None)


def stored_rows(settings: Settings) -> dict[bytes, bytes]:
    """The key and the checksum of every stored row; a checksum is of the bits of an embedding."""
    store = the_store(settings)
    if store is None:
        return {}
    rows = [
        (key.tobytes(), checksum.tobytes())
        for index in store.index_of(store.shards()).values()
        for key, checksum in zip(index.keys, index.checksums, strict=True)
    ]
    assert max(Counter(key for key, _ in rows).values(), default=1) == 1, "a crop was embedded twice"
    return dict(rows)


def crops(settings: Settings, what: str) -> dict[tuple[str, str | None], int]:
    """The crops that were computed or reused, by asset and fold, from the ledger's newest entries."""
    entries = Ledger(settings.storage_root / "ledger").entries()
    return {
        (entry.asset, entry.partition): int(str(entry.metadata[what])) for entry in entries if what in entry.metadata
    }


def settings_in(folder: Path, checkpoint: str | None) -> Settings:
    return Settings(
        dataset=folder.parent / "dataset",
        storage=folder / "storage",
        checkpoint=checkpoint,
        batch_size=BATCH,
        pictures="off",
    )


@one_process
@pytest.mark.promise(
    "SIGKILL at any moment while embedding loses at most one batch; the next run goes on, with the same numbers.",
    "kept",
    "3 kills in `make test`, 100 in `make torture`: 0 rows lost",
)
def test_a_run_killed_at_random_moments_loses_at_most_a_batch_each_time_and_ends_with_the_same_numbers(
    finished: FinishedRun, tmp_path: Path
) -> None:
    make_small_dataset(tmp_path / "dataset")
    undisturbed = settings_in(tmp_path / "undisturbed", finished.settings.checkpoint)
    with environment_of(undisturbed):
        assert run(undisturbed, select=SELECTION).failures == ()
    expected = stored_rows(undisturbed)
    total = len(expected)

    settings = settings_in(tmp_path / "killed", finished.settings.checkpoint)
    notes, said = tmp_path / "notes", tmp_path / "said"
    rng = np.random.default_rng(3)
    before: Mapping[bytes, bytes] = {}
    lost = 0
    for _ in range(KILLS):
        target = len(batches(notes)) + int(rng.integers(1, 4))
        process = start(settings, *COMMAND, output=said, prepare=partial(note_batches, notes, target + 1))
        wait_for("so many batches", lambda: len(batches(notes)) >= target or not process.is_alive(), every_s=0.01)  # noqa: B023
        time.sleep(float(rng.uniform(0, 0.1)))
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, said.read_text()
        now = stored_rows(settings)
        assert before.items() <= now.items(), "what was stored is kept, bit for bit"
        lost_now = sum(batches(notes)) - len(now) - lost
        assert 0 <= lost_now <= BATCH
        before, lost = now, lost + lost_now
    assert 0 < len(before) < total

    process = start(settings, *COMMAND, output=said, prepare=partial(note_batches, notes))
    process.join(200)
    assert process.exitcode == 0, said.read_text()
    assert sum(batches(notes)) == total + lost
    assert [*settings.local_root.rglob(".*.tmp")] == [], "what the killed were writing"
    whole = stored_rows(settings)
    assert before.items() <= whole.items()
    assert whole.keys() == expected.keys()
    store, undisturbed_store = the_store(settings), the_store(undisturbed)
    assert store is not None
    assert undisturbed_store is not None
    # A batch is a shard: where the same crops went through the network together, they gave the same bits.
    keys_of = [
        {index.keys.tobytes(): name for name, index in one.index_of(one.shards()).items()}
        for one in (store, undisturbed_store)
    ]
    same_batches = keys_of[0].keys() & keys_of[1].keys()
    assert same_batches
    assert all(keys_of[0][keys] == keys_of[1][keys] for keys in same_batches)
    for other in (undisturbed, finished.settings):  # the latter had batches of 8, so no batch coincides
        reference = vectors(other)
        for name, matrix in vectors(settings).items():
            np.testing.assert_allclose(matrix, reference[name], rtol=0, atol=1e-6 * np.abs(reference[name]).max())
    # The ledger says of every fold what it found and what it computed.
    computed, reused = crops(settings, "crops_computed"), crops(settings, "crops_reused")
    assert (
        computed.keys() == reused.keys() == {(f"{s}_embeddings", str(k)) for s in ("mc5", "center") for k in range(5)}
    )
    undisturbed_computed, undisturbed_reused = crops(undisturbed, "crops_computed"), crops(undisturbed, "crops_reused")
    for key in computed:
        assert computed[key] + reused[key] == undisturbed_computed[key] + undisturbed_reused[key]


EVERY_WRITE = pytest.mark.skipif(not os.environ.get("FA_WHOLE_SWEEP"), reason="minutes: FA_WHOLE_SWEEP is not set")
SOME_WRITES = ("mc5_oof_predictions.parquet", "mc5_metrics.json", "report.parquet")


def die_before_writes(notes: Path, chosen: Collection[str]) -> None:
    """SIGKILL itself before the first whole file that takes its name and is not noted: of any, or of those chosen."""
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        name = re.sub(r"^[0-9TZ]+-[0-9a-f]+_|[0-9a-f]{8}-[0-9a-f-]{27,}|[0-9]+-[0-9a-f]{32}", "", Path(target).name)
        part = f"{Path(target).parent.name} {name}"
        noted = notes.read_text().splitlines() if notes.exists() else []
        if part not in noted and (not chosen or name in chosen):
            with notes.open("a") as file:
                file.write(f"{part}\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = replace_or_die  # type: ignore[method-assign, assignment]


@one_process
@pytest.mark.promise(
    "SIGKILL before any one file takes its name, one after the other: the next run goes on.",
    "kept",
    "3 writes in `make test-slow`; all of a first run, over 70, with FA_WHOLE_SWEEP=1",
)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "chosen", [pytest.param(SOME_WRITES, marks=pytest.mark.heavy), pytest.param((), marks=EVERY_WRITE, id="every")]
)
def test_a_run_killed_before_each_write_comes_to_its_end(
    chosen: tuple[str, ...], finished: FinishedRun, tmp_path: Path
) -> None:
    if chosen:
        settings = finished.copy(tmp_path).model_copy(update={"regularization_c": 1.0})
    else:
        make_small_dataset(tmp_path / "dataset")
        settings = settings_in(tmp_path / "killed", finished.settings.checkpoint)
    notes, said = tmp_path / "notes", tmp_path / "said"
    kills = 0
    while True:
        process = start(settings, "run", output=said, prepare=partial(die_before_writes, notes, chosen))
        process.join(300)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL, said.read_text()
        kills += 1
    noted = notes.read_text().splitlines()
    assert kills == len(noted) >= (len(chosen) or 70), noted
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        assert plan(settings, instance) == []
        assert run(settings, select="report", force=True).failures == ()  # which follows all that it was made from
    ids = set(Ledger(settings.storage_root / "ledger").ids())
    values = ValueStore(settings.storage_root)
    for entry in Ledger(settings.storage_root / "ledger").entries():
        header = values.header(entry.asset, entry.partition)
        assert header is not None
        assert {header.materialization_id, *(one.source_id for one in header.inputs)} <= {*ids, None}
