"""A dataset folder that cannot be read as it should: whatever is wrong with whichever file is named, and nothing is taken for
absent or waited for."""

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.clip_files import clip_paths
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_given_folds, read_labels
from fa_assets.intake.propose import propose
from fa_assets.intake.recordings import scan_recordings
from fa_assets.intake.test_set import read_submission_clips
from fa_assets.store.source_files import Limits

TABLES = ("train_curated.csv", "sample_submission.csv", "train_curated_folds.csv", "test.csv")


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    root = tmp_path / "set"
    for folder in ("train_curated", "test"):
        (root / folder / "sub").mkdir(parents=True)
        for name in ("a.wav", "sub/b.wav"):
            soundfile.write(root / folder / name, np.resize([0.1, -0.1], 800), 8000)
    (root / "train_curated.csv").write_text("fname,labels\na.wav,Rain\nsub/b.wav,Bell\n")
    (root / "sample_submission.csv").write_text("fname,Bell,Rain\na.wav,0,0\n")
    (root / "train_curated_folds.csv").write_text("fname,fold\na.wav,0\nsub/b.wav,1\n")
    (root / "test.csv").write_text("fname,labels\na.wav,Rain\n")
    return KaggleDataset(root)


@contextmanager
def without_roots_rights(folder: Path) -> Iterator[None]:
    """Permissions bind this process too: root becomes nobody for a while, and may pass down to the folder and write there."""
    if os.geteuid() != 0:
        yield
        return
    codecs.lookup("utf-8-sig")  # a module of Python's, which nobody may not read everywhere
    for passed in (folder, *folder.parents[:3]):
        passed.chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


WAYS = {
    "no permission": (lambda path: (path.touch(), path.chmod(0)), "Permission denied"),
    "a link to nothing": (link_to("nothing"), "a link to what is not there"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "a circular link"),
    "a folder": (Path.mkdir, "not a file"),
    "a pipe": (os.mkfifo, "not a file"),
    "a device": (link_to("/dev/zero"), "not a file"),
    "an I/O error": (link_to("/proc/self/mem"), "Input/output error"),
}


def everything(dataset: KaggleDataset) -> None:
    """All that is ever read of the tables."""
    clips = read_labels(dataset)
    classes = read_classes(dataset, clips)
    read_given_folds(dataset, clips.fnames, 2)
    read_submission_clips(dataset, classes)


@pytest.mark.promise(
    "A table that is there and cannot be read (permissions, an I/O error, a folder, pipe or device in its place, a link to "
    "nothing) is named with the reason, and never taken for absent.",
    "input",
    "7 faults, 4 tables",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_cannot_be_read_is_named(dataset: KaggleDataset, tmp_path: Path, table: str, way: str) -> None:
    spoil, reason = WAYS[way]
    (dataset.root / table).unlink()
    spoil(dataset.root / table)
    for read in (everything, lambda dataset: scan_recordings(dataset, tmp_path / "memory.json")):
        rights = without_roots_rights(tmp_path) if way == "no permission" else nullcontext()
        with rights, pytest.raises(UserError, match=f"{table}: .*{reason}"):
            read(dataset)


@pytest.mark.promise(
    "A clip that is there and cannot be read is named with the reason by every look at the folder.", "input"
)
@pytest.mark.parametrize(
    ("folder", "way"),
    [
        *(
            ("train_curated", way)
            for way in ("no permission", "a link to nothing", "a link to itself", "a folder", "a pipe")
        ),
        *(("test", way) for way in ("no permission", "a link to nothing", "a link to itself", "a pipe")),
    ],
)
def test_a_clip_that_cannot_be_read_is_named(dataset: KaggleDataset, tmp_path: Path, folder: str, way: str) -> None:
    spoil, reason = WAYS[way]
    path = dataset.root / folder / "sub/b.wav"
    path.unlink()
    spoil(path)
    labelled = read_labels(dataset)
    with without_roots_rights(tmp_path):
        state = scan_recordings(dataset, tmp_path / "memory.json")
        (named,) = state.unreadable
        intake = inspect_clips(dataset.root / folder, labelled, on_bad_clip="skip")
    assert named.endswith(f"sub/b.wav: {intake.bad[0].reason}") and reason in named
    assert [clip.fname for clip in intake.clips] == ["a.wav"]


@pytest.mark.parametrize("gone", ["train_curated", "test/sub", "test"])
def test_a_folder_that_may_not_be_entered_is_named(dataset: KaggleDataset, tmp_path: Path, gone: str) -> None:
    (dataset.root / gone).chmod(0)
    with without_roots_rights(tmp_path):
        if gone == "train_curated":
            state = scan_recordings(dataset, tmp_path / "memory.json")
            assert len(state.unreadable) == 2 and all("Permission denied" in one for one in state.unreadable)
        else:
            with pytest.raises(BadInputError, match=f"(?s){gone.partition('/')[2]}.*Permission denied"):
                scan_recordings(dataset, tmp_path / "memory.json")
    (dataset.root / gone).chmod(0o755)


def test_a_name_that_is_not_utf_8_is_named_escaped(dataset: KaggleDataset, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(dataset.test_folder) + b"/\xff\x1b.wav")).touch()
    for read in (everything, lambda dataset: scan_recordings(dataset, tmp_path / "memory.json")):
        with pytest.raises(BadInputError) as caught:
            read(dataset)
        assert r"\udcff\x1b.wav: a name that is not UTF-8" in str(caught.value)


def test_init_names_what_it_cannot_read(dataset: KaggleDataset, tmp_path: Path) -> None:
    dataset.labels_csv.unlink()
    (dataset.clips_folder / "sub").chmod(0)
    with without_roots_rights(tmp_path), pytest.raises(UserError, match="sub/: cannot be read: Permission denied"):
        propose(dataset.root)
    (dataset.clips_folder / "sub").chmod(0o755)


def too_deep(root: Path) -> None:
    here = root / "test"
    for _ in range(6):
        here /= "d"
        here.mkdir()


def endless_ways(root: Path) -> None:
    """Two links in each of 60 folders to the next one: 2^60 ways."""
    places = [root.parent / "elsewhere" / str(number) for number in range(61)]
    for here, after in pairwise(places):
        here.mkdir(parents=True, exist_ok=True)
        for name in "ab":
            (here / name).symlink_to(after)
    places[-1].mkdir()
    (root / "test" / "all").symlink_to(places[0])


def sparse(name: str, size: int) -> Callable[[Path], None]:
    return lambda root: os.truncate(root / name, size)


@pytest.mark.promise(
    "Clips, CSV files, folders and numbers of files beyond the limits (settings FA_MAX_*) are refused before they are read.",
    "input",
    "a 20 GB table, among 7 excesses",
)
@pytest.mark.parametrize(
    ("spoil", "limits", "named"),
    [
        (
            sparse("train_curated.csv", 20_000_000_000),
            Limits(),
            "train_curated.csv: larger than 256 MB.*FA_MAX_TABLE_MB",
        ),
        (sparse("test.csv", 20_000_000_000), Limits(), "test.csv: larger than 256 MB"),
        (too_deep, Limits(depth=5), "d/d/d/d/d: more than 5 folders deep.*FA_MAX_DEPTH"),
        (lambda root: None, Limits(files=1), "names 2 clips, more than 1.*FA_MAX_FILES"),
        (lambda root: [(root / "test" / f"{n}").touch() for n in range(3)], Limits(files=4), "more than 4 files"),
        (
            lambda root: [(root / "test" / f"{n}").mkdir() for n in range(5)],
            Limits(files=4),
            "more than 4 files and folders",
        ),
        (endless_ways, Limits(), "a link inside linked folders, which is reached in two ways"),
    ],
    ids=["a table", "another table", "deep", "rows", "files", "folders", "links"],
)
def test_more_than_the_limit_is_refused(
    dataset: KaggleDataset, tmp_path: Path, spoil: Callable[[Path], object], limits: Limits, named: str
) -> None:
    spoil(dataset.root)
    for read in (everything, lambda dataset: scan_recordings(dataset, tmp_path / "memory.json")):
        with pytest.raises(UserError, match=f"(?s){named}"):
            read(KaggleDataset(dataset.root, limits))


def test_a_clip_beyond_the_limit_is_named_and_not_read(dataset: KaggleDataset, tmp_path: Path) -> None:
    os.truncate(dataset.clips_folder / "a.wav", 20_000_000_000)
    said = "a.wav: 20 GB; up to 8 are read (FA_MAX_CLIP_GB): cut it into pieces"
    assert scan_recordings(dataset, tmp_path / "memory.json").unreadable == (said,)
    with pytest.raises(BadInputError) as caught:
        inspect_clips(dataset.clips_folder, read_labels(dataset))
    assert caught.value.offenders == (said.replace("a.wav:", "'a.wav':"),)
    with pytest.raises(BadInputError, match="FA_MAX_CLIP_GB"):
        clip_paths(dataset.clips_folder, ["a.wav"])
