"""Both kinds of storage root answer alike."""

import time
from pathlib import Path

import pytest

from fa_assets.store.atomic import bring, digest_file, replacing
from fa_assets.store.ledger import Ledger, new_entry_id
from fa_assets.store.roots import StoragePath, file_names, listing, open_root, relative_name, subfolders
from fa_assets_tests.catalog.made_up import an_entry


def write(path: StoragePath, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def test_a_url_of_a_library_that_is_there_is_opened() -> None:
    assert str(open_root("memory://bucket/prefix/")) == "memory://bucket/prefix"


def test_files_are_listed_by_name_with_size_and_without_hidden_ones(root: StoragePath) -> None:
    folder = root / "folder"
    assert listing(folder) == []
    assert file_names(folder) == subfolders(folder) == []
    for name, content in (("b", b"12"), ("a", b"1"), (".hidden", b"123"), ("deeper/c", b"")):
        write(folder / name, content)
    assert [(one.name, one.size_bytes) for one in listing(folder)] == [("a", 1), ("b", 2)]
    assert file_names(folder) == ["a", "b"]
    assert subfolders(folder) == ["deeper"]
    assert relative_name(folder / "deeper" / "c", root) == "folder/deeper/c"
    write(folder / "a", b"1234")
    assert [(one.name, one.size_bytes) for one in listing(folder)] == [("a", 4), ("b", 2)]


def test_a_file_has_the_time_at_which_it_was_written(root: StoragePath) -> None:
    write(root / "a", b"1")
    (before,) = listing(root)
    time.sleep(1.1)  # an object store has whole seconds
    write(root / "b", b"1")
    again, later = listing(root)
    assert again == before
    assert later.modified > before.modified


@pytest.mark.promise("A file is whole or not there: written under a temporary name, flushed, moved into place.", "kept")
def test_a_file_that_was_not_written_whole_leaves_the_old_one(root: StoragePath) -> None:
    write(root / "value", b"old")
    with pytest.raises(RuntimeError), replacing(root / "value") as temporary:
        temporary.write_bytes(b"new, but not who")
        raise RuntimeError
    assert (root / "value").read_bytes() == b"old"
    assert file_names(root) == ["value"]
    assert digest_file(root / "value").size_bytes == 3


def test_a_ledger(root: StoragePath) -> None:
    ledger = Ledger(root / "ledger")
    assert ledger.ids() == []
    entries = [an_entry(new_entry_id(), partition=str(fold)) for fold in range(3)]
    for entry in entries:
        ledger.append(entry)
    assert sorted(ledger.entries(), key=lambda entry: entry.id) == sorted(entries, key=lambda entry: entry.id)
    assert ledger.read(entries[1].id) == entries[1]
    assert [entry.id for entry in ledger.entries(skip={entries[0].id, entries[2].id})] == [entries[1].id]
    with pytest.raises(FileExistsError):
        ledger.append(entries[0])


def test_what_was_brought_has_the_bytes_of_now(root: StoragePath, tmp_path: Path) -> None:
    write(root / "values" / "x", b"first")
    folder = root if isinstance(root, Path) else tmp_path / "cache"
    bring(root, "values/x", folder)
    assert (folder / "values" / "x").read_bytes() == b"first"
    write(root / "values" / "x", b"second")
    bring(root, "values/x", folder)
    bring(root, "values/not there", folder)
    assert (folder / "values" / "x").read_bytes() == b"second"
    assert not isinstance(root, Path) or not (tmp_path / "cache").exists()
