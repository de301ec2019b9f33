"""Folds over refreshes: who keeps theirs, what is recorded of it, and that it comes to rest."""

import csv

import dagster as dg
import numpy as np
import pytest
import soundfile

from fa_assets.audio.landmarks import RATE
from fa_assets.graph import clip_tables
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.labels import multi_hot
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.metrics.test_same_recording import sound
from fa_assets_tests.runs import plan, run
from fa_assets_tests.small_dataset import make_clip

pytestmark = pytest.mark.slow


def folds_of(settings: Settings) -> dict[str, int]:
    table = ValueStore(settings.storage_root).read("folds").table
    return dict(zip(table["fname"].to_pylist(), table["fold"].to_pylist(), strict=True))


def change(settings: Settings) -> None:
    """One clip goes, one is renamed, one comes; the rows change their order."""
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    with labels.open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [["renamed.wav" if row[0] == "03.wav" else row[0], row[1]] for row in rows if row[0] != "08.wav"]
    (folder / "03.wav").rename(folder / "renamed.wav")
    make_clip(folder / "new.wav", ("Tone",), index=100)
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([header, ["new.wav", "Tone"], *reversed(rows)])


def test_clips_keep_their_folds_also_when_renamed_until_fresh_ones_are_asked_for(settings: Settings) -> None:
    before = folds_of(settings)
    values = ValueStore(settings.storage_root)
    header_before = values.header("folds")
    change(settings)
    assert run(settings, select="+folds").failures == ()
    sticky = folds_of(settings)
    after = dict(sticky)
    assert after.pop("renamed.wav") == before.pop("03.wav")
    assert after.pop("new.wav") in range(5)
    del before["08.wav"]
    assert after == before

    (*_, entry) = (one for one in Ledger(settings.storage_root / "ledger").entries() if one.asset == "folds")
    assert header_before is not None
    assert {(one.asset, one.data_version) for one in entry.inputs} >= {("folds", header_before.data_version)}
    assert entry.metadata["origin"] == "continued"
    assert (entry.metadata["clips_kept"], entry.metadata["clips_moved"], entry.metadata["clips_new"]) == (22 + 1, 0, 1)
    with dg.DagsterInstance.get() as instance:  # having gone on from itself does not make it stale
        assert "folds" not in {one.asset for one in plan(settings, instance)}

    assert run(settings.model_copy(update={"folds": "fresh"}), select="+folds").failures == ()
    classes = values.read("folds").header.details["classes"]
    of_seed_42 = stratified_folds(multi_hot(values.read("curated_clips").table["labels"].to_pylist(), classes))
    fresh = folds_of(settings)
    assert list(fresh.values()) == of_seed_42.tolist() != list(sticky.values())
    version = values.read("folds").header.data_version
    assert run(settings, select="+folds").failures == ()  # going back changes nothing
    assert folds_of(settings) == fresh
    assert values.read("folds").header.data_version == version


def test_late_groups_are_stratified_again_with_a_word_and_given_folds_win(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    labels = settings.dataset / "train_curated.csv"
    with labels.open(newline="") as file:
        header, *rows = csv.reader(file)
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([[*header, "group"], *([*row, f"site{n % 8}"] for n, row in enumerate(rows))])
    outcome = run(settings, select="+folds")
    assert outcome.failures == ()
    logged = [entry.user_message for entry in instance.all_logs(str(outcome.run_id))]
    assert any("All clips are stratified again" in line for line in logged)
    assert (
        next(Ledger(settings.storage_root / "ledger").newest_of("folds")).metadata["origin"] == "multilabel-stratified"
    )
    folds = folds_of(settings)
    assert len({(n % 8, folds[row[0]]) for n, row in enumerate(rows)}) == 8

    given = {row[0]: n % 5 for n, row in enumerate(rows)}
    with (settings.dataset / "train_curated_folds.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["fname", "fold"], *given.items()])
    outcome = run(settings, select="+folds")
    assert outcome.failures == ()
    assert folds_of(settings) == given


def test_damaged_folds_are_not_replaced_by_others_in_silence(settings: Settings) -> None:
    ValueStore(settings.storage_root).path("folds").write_bytes(b"PAR1")
    (failure, *_) = run(settings, select="folds").failures
    assert "train_curated_folds.csv" in failure and "FA_FOLDS=fresh" in failure


def test_identical_clips_share_a_fold_from_the_first_assignment_on(settings: Settings) -> None:
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    with labels.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    twins = {fname: f"twin-of-{fname}" for fname, *_ in rows}
    for fname, twin in twins.items():
        (folder / twin).write_bytes((folder / fname).read_bytes())
    with labels.open("a", newline="") as file:
        csv.writer(file).writerows([twins[fname], *own] for fname, *own in rows)
    fresh = settings.model_copy(update={"folds": "fresh"})
    assert run(fresh, select="+folds").failures == ()
    folds = folds_of(settings)
    assert [folds[twin] for twin in twins.values()] == [folds[fname] for fname in twins]


@pytest.mark.parametrize("near_duplicates", ["warn", "group"])
def test_altered_copies_are_one_unit_and_share_a_fold_on_request(settings: Settings, near_duplicates: str) -> None:
    """A quarter of the clips again, at half the level and 50 ms later, in another format."""
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    with labels.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    twins = {}
    for seed, (fname, own) in enumerate(row[:2] for row in rows[::4]):
        samples = sound(seed) / 4
        twins[fname] = f"{fname}.flac"
        soundfile.write(folder / fname, samples, RATE)
        soundfile.write(folder / twins[fname], np.concatenate([np.zeros(RATE // 20), samples / 2]), RATE)
        with labels.open("a", newline="") as file:
            csv.writer(file).writerow([twins[fname], own])
    asked = settings.model_copy(update={"folds": "fresh", "near_duplicates": near_duplicates})
    assert run(asked, select="+folds").failures == ()
    table = ValueStore(settings.storage_root).read("folds").table
    units = dict(zip(table["fname"].to_pylist(), clip_tables.units(table), strict=True))
    fold_of = folds_of(settings)
    assert [units[twin] for twin in twins.values()] == [units[fname] for fname in twins]
    together = [fold_of[twin] == fold_of[fname] for fname, twin in twins.items()]
    assert all(together) == (near_duplicates == "group")
