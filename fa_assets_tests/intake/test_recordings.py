"""The data version of a dataset folder: it changes with what the CSV files and the clips hold, and with nothing else."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.intake.recordings import Change, ScanUnfinishedError, change_between, scan_recordings
from fa_assets.store import digests
from fa_assets.store.source_files import Limits


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    root = tmp_path / "set"
    (root / "train_curated").mkdir(parents=True)
    (root / "train_curated.csv").write_text("fname,labels\na.wav,Rain\nb.wav,Bell\n")
    for name in ("a.wav", "b.wav"):
        (root / "train_curated" / name).write_bytes(name.encode() * 100)
    return KaggleDataset(root)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory.json"


def test_a_clip_is_known_by_its_bytes_and_labels_also_by_a_later_version_of_the_code(
    dataset: KaggleDataset, memory: Path
) -> None:
    assert scan_recordings(dataset, memory).curated.clips == {"a.wav": "cf9edbcf14eb", "b.wav": "11b5db580092"}


def test_a_scan_stops_at_its_limit_and_remembers_what_it_hashed(dataset: KaggleDataset, memory: Path) -> None:
    with pytest.raises(ScanUnfinishedError, match="^1 of 2 clips hashed so far$"):
        scan_recordings(dataset, memory, limit_s=0)
    assert set(json.loads(memory.read_text())) == {str(dataset.clips_folder / "a.wav")}
    assert scan_recordings(dataset, memory, limit_s=3600).curated.clips_present == 2


def test_looking_again_gives_the_same_version_with_or_without_memory(dataset: KaggleDataset, memory: Path) -> None:
    first = scan_recordings(dataset, memory).curated
    assert (first.clips_named, first.clips_present) == (2, 2)
    assert scan_recordings(dataset, memory).curated == first
    memory.write_text("damaged")
    assert scan_recordings(dataset, memory).curated == first


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", '"a"', '{"a.wav": 5}', '{"a.wav": {"x": 1}}', '{"a.wav": [null]}', "{"]
)
def test_a_memory_of_another_shape_is_no_memory(dataset: KaggleDataset, memory: Path, text: str) -> None:
    first = scan_recordings(dataset, memory)
    memory.write_text(text)
    assert scan_recordings(dataset, memory) == first


def test_touching_a_file_or_adding_an_unnamed_one_changes_nothing(dataset: KaggleDataset, memory: Path) -> None:
    first = scan_recordings(dataset, memory).curated
    os.utime(dataset.clips_folder / "a.wav", (1, 1))
    (dataset.clips_folder / "unnamed.wav").write_bytes(b"x")
    assert scan_recordings(dataset, memory).curated.data_version == first.data_version


@pytest.mark.parametrize("change", ["bytes", "removed", "label", "folds", "verdict"])
def test_what_matters_changes_the_version(dataset: KaggleDataset, memory: Path, change: str) -> None:
    first = scan_recordings(dataset, memory).curated
    if change == "bytes":
        (dataset.clips_folder / "a.wav").write_bytes(b"other")
    elif change == "removed":
        (dataset.clips_folder / "a.wav").unlink()
    elif change == "label":
        dataset.labels_csv.write_text("fname,labels\na.wav,Bell\nb.wav,Bell\n")
    elif change == "verdict":
        dataset.corrections_csv.write_text("fname,class,verdict\na.wav,Rain,keep\n")
    else:
        dataset.folds_csv.write_text("fname,fold\na.wav,0\nb.wav,1\n")
    assert scan_recordings(dataset, memory).curated.data_version != first.data_version


def test_a_label_that_a_verdict_changes_is_a_changed_clip(dataset: KaggleDataset, memory: Path) -> None:
    first = scan_recordings(dataset, memory).curated
    dataset.corrections_csv.write_text("fname,class,verdict\na.wav,Bell,add\n")
    corrected = scan_recordings(dataset, memory)
    assert change_between(first.clips, corrected.curated.clips) == Change((), ("a.wav",), ())
    dataset.corrections_csv.unlink()
    assert scan_recordings(dataset, memory).curated == first


@pytest.mark.promise(
    "A clip that changed is noticed, also where its size and time are as they were.",
    "kept",
    "in place, by a rename, within a tick of the clock",
)
@pytest.mark.parametrize("how", ["in place", "by a rename", "within a tick of the clock"])
def test_bytes_that_changed_while_size_and_time_stayed_are_noticed(
    dataset: KaggleDataset, memory: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = dataset.clips_folder / "a.wav"
    if how != "within a tick of the clock":
        monkeypatch.setattr(digests, "_TICK_NS", 0)  # or it would be hashed again because it is young
    first, stat = scan_recordings(dataset, memory).curated, clip.stat()
    if how == "by a rename":
        other = clip.with_name("other.wav")
        other.write_bytes(b"A" + clip.read_bytes()[1:])
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        other.replace(clip)
    else:
        clip.write_bytes(b"A" + clip.read_bytes()[1:])
        os.utime(clip, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if how == "within a tick of the clock":
        known = json.loads(memory.read_text())
        known[str(clip)][2] = clip.stat().st_ctime_ns
        memory.write_text(json.dumps(known))
    assert (clip.stat().st_size, clip.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert scan_recordings(dataset, memory).curated.data_version != first.data_version


def test_what_did_not_change_is_not_read_again(
    dataset: KaggleDataset, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_TICK_NS", 0)
    first = scan_recordings(dataset, memory)
    monkeypatch.setattr(digests, "digest_source", None)
    assert scan_recordings(dataset, memory) == first


@pytest.mark.promise(
    "With FA_LINKS=refuse no link leads out of the folder of clips when clips are inspected, hashed or embedded, "
    "not even one that came after the intake.",
    "input",
    "followed and refused",
)
@pytest.mark.parametrize("follow_links", [True, False])
def test_a_link_that_leads_out(dataset: KaggleDataset, memory: Path, follow_links: bool) -> None:
    dataset = replace(dataset, limits=Limits(follow_links=follow_links))
    outside = dataset.root.parent / "outside.wav"
    outside.write_bytes(b"secret")
    (dataset.clips_folder / "a.wav").unlink()
    (dataset.clips_folder / "a.wav").symlink_to(outside)
    first = scan_recordings(dataset, memory).curated
    assert (first.clips_named, first.clips_present) == (2, 2 if follow_links else 1)
    outside.write_bytes(b"another")
    assert (scan_recordings(dataset, memory).curated == first) is not follow_links


@pytest.mark.parametrize("change", ["added", "bytes", "labels", "a row"])
def test_the_test_set_has_a_version_of_its_own(dataset: KaggleDataset, memory: Path, change: str) -> None:
    dataset.test_folder.mkdir()
    (dataset.test_folder / "t.wav").write_bytes(b"t" * 100)
    dataset.sample_submission_csv.write_text("fname,Bell,Rain\nt.wav,0,0\n")
    first = scan_recordings(dataset, memory)
    assert (first.test.clips_named, first.test.clips_present, first.test.bytes_present) == (1, 1, 100)
    if change == "added":
        (dataset.test_folder / "u.wav").write_bytes(b"u")
    elif change == "bytes":
        (dataset.test_folder / "t.wav").write_bytes(b"other")
    elif change == "labels":
        dataset.test_csv.write_text("fname,labels\nt.wav,Bell\n")
    else:
        dataset.sample_submission_csv.write_text("fname,Bell,Rain\nt.wav,0,0\nu.wav,0,0\n")
    second = scan_recordings(dataset, memory)
    assert second.curated == first.curated
    assert second.test.data_version != first.test.data_version
    dataset.sample_submission_csv.write_text("fname,Rain,Bell\nt.wav,0,0\n")
    assert scan_recordings(dataset, memory).curated.data_version != first.curated.data_version
