"""The ledger: whole entries or none, in order, for ever."""

import json
import logging
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from fa_assets.errors import UserError
from fa_assets.store import ledger as ledger_module
from fa_assets.store.ledger import SCHEMA_VERSION, InputVersion, Ledger, LedgerEntry, new_entry_id
from fa_assets_tests.catalog.made_up import an_entry
from fa_assets_tests.processes import run_at_once
from fa_assets_tests.recorded import flipped

SAMPLES = Path(__file__).parent / "ledger_samples"


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    ledger, entry = Ledger(tmp_path / "new" / "ledger"), an_entry(asset="mc5_embeddings", partition="3")
    path = ledger.append(entry)
    assert path.name == f"{entry.id}_mc5_embeddings_3.json"
    assert ledger.read(entry.id) == entry
    assert list(ledger.entries()) == [entry]
    assert json.loads(path.read_text())["schema_version"] == SCHEMA_VERSION


def test_times_are_utc_in_the_file_and_equal_outside() -> None:
    local = datetime(2026, 1, 2, 5, 0, tzinfo=timezone(timedelta(hours=2)))
    entry = an_entry(started_at=local, finished_at=local)
    assert json.loads(entry.to_json())["started_at"] == "2026-01-02T03:00:00+00:00"
    assert LedgerEntry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("started_at", datetime(2026, 1, 1), "started_at of folds has no timezone"),  # noqa: DTZ001
        ("id", "a_b", "not an id"),
        ("id", "../escape", "not an id"),
    ],
)
def test_an_entry_that_would_not_come_back_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(an_entry(), **{field: value})  # type: ignore[arg-type]


def test_numbers_that_json_has_not_become_null() -> None:
    entry = an_entry(metadata={"lwlrap": float("nan"), "all": [float("inf"), 1.5]})
    assert LedgerEntry.from_json(entry.to_json()).metadata == {"lwlrap": None, "all": [None, 1.5]}


def test_an_asset_with_a_path_as_name_stays_in_the_folder(tmp_path: Path) -> None:
    ledger, entry = Ledger(tmp_path), an_entry(asset="../group/asset", partition="a b")
    assert ledger.append(entry).parent == tmp_path
    assert ledger.read(entry.id) == entry


def test_entries_come_in_the_order_of_their_ids_and_can_be_skipped(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert list(ledger.entries()) == ledger.ids() == []
    ids = sorted(new_entry_id() for _ in range(4))
    for id in (ids[2], ids[0], ids[3], ids[1]):
        ledger.append(an_entry(id))
    assert ledger.ids() == ids
    assert [entry.id for entry in ledger.entries(skip={ids[1]})] == [ids[0], ids[2], ids[3]]


def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = [new_entry_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"\d{8}T\d{12}Z-[0-9a-f]{16}", id) for id in ids)
    moments = [id.partition("-")[0] for id in ids]
    assert moments == sorted(moments)
    assert abs(datetime.strptime(moments[-1], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(
        minutes=1
    )


@pytest.mark.promise(
    "After the wall clock stepped back, the newest materialization is still the newest, and nothing ends before it "
    "began.",
    "others",
    "by 73 years",
)
def test_the_next_id_sorts_last_also_when_the_clock_stepped_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for id in ("20990101T000000000000Z-0123456789abcdef", "20260101T000000000000Z-0123456789abcdef"):
        ledger.append(an_entry(id))
    new = [ledger.new_id() for _ in range(3)]
    assert all(id.startswith("20990101T000000000001Z-") for id in new)
    ledger.append(an_entry(new[0]))
    assert ledger.ids()[-1] == new[0] < ledger.new_id()


def test_an_entry_is_never_overwritten(tmp_path: Path) -> None:
    ledger, entry = Ledger(tmp_path), an_entry()
    before = ledger.append(entry).read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        ledger.append(replace(entry, run_id="another"))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.promise("A file is whole or not there: written under a temporary name, flushed, moved into place.", "kept")
def test_a_failed_append_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Ledger(tmp_path).append(an_entry(metadata={"not JSON": object()}))
    assert list(tmp_path.iterdir()) == []


def test_half_written_files_are_not_seen(tmp_path: Path) -> None:
    ledger, entry = Ledger(tmp_path), an_entry()
    path = ledger.append(entry)
    (tmp_path / f".{new_entry_id()}_folds.json.0123.tmp").write_text(path.read_text()[:50])
    assert ledger.ids() == [entry.id]
    assert list(ledger.entries()) == [entry]


@pytest.mark.promise("A damaged ledger file is named and hides no other.", "kept", "7 kinds of damage")
@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"schema_version": 1}', b'{"schema_version": 0, "inputs": []}', b"[1]", b"\xff\x00", None]
)
def test_a_damaged_file_is_named_and_hides_no_other(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, good = Ledger(tmp_path), an_entry()
    good_path = ledger.append(good)
    bad = new_entry_id()
    bad_path = tmp_path / f"{bad}_folds.json"
    bad_path.write_bytes(good_path.read_bytes() if content is None else content)  # None: a copy under another id
    with caplog.at_level(logging.WARNING):
        assert list(ledger.entries()) == [good]
    assert str(bad_path) in caplog.text
    with pytest.raises(UserError, match=rf"{bad}_folds\.json is damaged .* restore it"):
        ledger.read(bad)


@pytest.mark.promise(
    "A flipped bit in a ledger file never gives another entry: the file is named as damaged.",
    "kept",
    "every third bit: 0 silent",
)
def test_every_flipped_bit_is_damage(tmp_path: Path) -> None:
    ledger, entry = Ledger(tmp_path), an_entry()
    path = ledger.append(entry)
    whole = path.read_bytes()
    unsealed = whole.rpartition(b',\n "sha256"')[0] + b"\n}\n"
    for content in (unsealed, *(flipped(whole, place) for place in range(0, 8 * len(whole), 3))):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"{path.name} is damaged .*move it away and materialize"):
            ledger.read(entry.id)


@pytest.mark.promise(
    "What a newer version wrote, in ledger or catalog, is refused by name and not touched.",
    "kept",
    "one entry, all entries",
)
def test_a_newer_version_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, entry = Ledger(tmp_path), an_entry()
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        path = ledger.append(entry)
    for read in (lambda: ledger.read(entry.id), lambda: list(ledger.entries())):
        with pytest.raises(UserError, match=rf"{path.name} cannot be read: it has ledger version 4.*newer fa_assets"):
            read()


@pytest.mark.promise(
    "What an older version stored, embeddings and ledger, is read and used, and stays as it is.",
    "kept",
    "2 of the ledger",
)
@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_entry_of_an_older_version_is_read_and_stays_as_it_is(version: int, tmp_path: Path) -> None:
    """The samples are entries that fa_assets wrote when that version was current."""
    (sample,) = SAMPLES.glob(f"version-{version}/*.json")
    shutil.copy(sample, tmp_path)
    (entry,) = Ledger(tmp_path).entries()
    assert (entry.asset, entry.run_id, entry.data_version) == ("mc5_metrics", "run-1", "seed-42")
    assert entry.inputs == (
        InputVersion("folds", None, "seed-42"),
        InputVersion("mc5_oof_predictions", "0", "seed-42"),
        InputVersion("mc5_oof_predictions", "1", "seed-42"),
    )
    assert (len(entry.metrics), len(entry.files), entry.settings["C"]) == (8, 1, 2.0)
    assert (tmp_path / sample.name).read_bytes() == sample.read_bytes()
    assert LedgerEntry.from_json(entry.to_json()) == entry


def test_an_entry_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no entry x-1"):
        Ledger(tmp_path).read("x-1")


def append_many(folder: Path, count: int) -> None:
    for _ in range(count):
        Ledger(folder).append(an_entry())


@pytest.mark.slow
@pytest.mark.promise("Processes that append to the ledger at once lose no entry.", "others", "4 processes, 100 entries")
def test_processes_append_at_once_without_losing_an_entry(tmp_path: Path) -> None:
    run_at_once(*[(append_many, tmp_path, 25)] * 4)
    assert len(list(Ledger(tmp_path).entries())) == 100
