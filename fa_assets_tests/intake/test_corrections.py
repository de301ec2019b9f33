"""Verdicts on labels: what is written is read, what is not a verdict is refused by name, and the last one counts."""

import csv
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.corrections import NAME, Correction, append_corrections, as_shown, in_force, read_corrections
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_labels
from fa_assets.store.source_files import SourceFileError

ADD = Correction("a.wav", "Rain", "add", "Ada", "2026-11-29T22:50:00+00:00", "drops on a roof")
REMOVE = replace(ADD, fname="b/c d.wav", class_name='Bell, "small"', verdict="remove", why="")


def test_without_a_file_or_with_an_empty_one_there_are_none(tmp_path: Path) -> None:
    assert read_corrections(tmp_path) == ()
    (tmp_path / NAME).touch()
    assert read_corrections(tmp_path) == ()
    append_corrections(tmp_path, [])
    append_corrections(tmp_path, [ADD])
    assert read_corrections(tmp_path) == (ADD,)


def test_what_is_appended_is_read_after_what_was_there(tmp_path: Path) -> None:
    append_corrections(tmp_path, [ADD])
    first = (tmp_path / NAME).read_bytes()
    append_corrections(tmp_path, [REMOVE, replace(ADD, verdict="undo")])
    assert (tmp_path / NAME).read_bytes().startswith(first)
    assert first == b"fname,class,verdict,who,when,why\na.wav,Rain,add,Ada,2026-11-29T22:50:00+00:00,drops on a roof\n"
    assert read_corrections(tmp_path) == (ADD, REMOVE, replace(ADD, verdict="undo"))


@pytest.mark.promise(
    "No cell of label_corrections.csv begins a formula, and every name is read as it was given.", "input"
)
@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A0", "+1", "-a.wav", "@x", "'-a.wav", "''=1", " =1", "'quoted'"])
def test_no_cell_is_a_formula_and_every_name_is_read_as_it_was(tmp_path: Path, text: str) -> None:
    one = replace(ADD, fname=f"{text}.wav", class_name=text.strip(), who=text, why=text)
    append_corrections(tmp_path, [one])
    with (tmp_path / NAME).open(newline="") as file:
        assert not [cell for row in csv.reader(file) for cell in row if re.match(r"\s*[=+\-@]", cell)]
    assert read_corrections(tmp_path) == (one,)


def test_steering_characters_in_what_people_write_are_escaped(tmp_path: Path) -> None:
    append_corrections(tmp_path, [replace(ADD, who="\x1b[2J", why="two\nlines")])
    assert read_corrections(tmp_path) == (replace(ADD, who=r"\x1b[2J", why=r"two\nlines"),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",Rain,add,,,", "an empty fname"),
        ("../x.wav,Rain,add,,,", "leads out of the folder"),
        ("/x.wav,Rain,add,,,", "an absolute path"),
        ("x.wav, ,add,,,", "'x.wav': an empty class"),
        ("x.wav,Rain,perhaps,,,", "'perhaps' is none of keep, add, remove, unsure, undo"),
        ("x.wav,Rain,add,,yesterday,", "'yesterday' is not a time"),
        ('"x\ty.wav",Rain,add,,,', "control characters"),
        ("x.wav,Rain,ad", "row 2, 'x.wav': 3 cells"),
    ],
)
def test_a_row_that_is_no_verdict_is_named(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / NAME).write_text(f"fname,class,verdict,who,when,why\na.wav,Rain,add,,,\n{row}\n")
    with pytest.raises(BadInputError, match=re.escape(said)) as raised:
        read_corrections(tmp_path)
    assert NAME in str(raised.value)
    assert "row 2" in str(raised.value)
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(BadInputError):
        append_corrections(tmp_path, [ADD])
    assert (tmp_path / NAME).read_bytes() == before


def test_a_bad_verdict_is_not_appended(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="'gone' is none of"):
        append_corrections(tmp_path, [ADD, replace(ADD, verdict="gone")])
    with pytest.raises(BadInputError, match="control characters"):
        append_corrections(tmp_path, [replace(ADD, fname="\ud800.wav")])
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbffname;class;verdict;who;when;why\r\na.wav;Rain;add;Ada;2026-11-29T22:50:00+00:00;drops on a roof\r\n",
        "fname\tclass\tverdict\twho\twhen\twhy\r\na.wav\tRain\tADD\tAda\t2026-11-29T22:50:00+00:00\tdrops on a roof".encode(
            "utf-16"
        ),
        b"fname,class,verdict,who,when,why\r\n./a.wav, Rain,add,Ada,2026-11-29T22:50:00+00:00,drops on a roof",
    ],
    ids=["semicolons", "utf-16", "no last line end"],
)
def test_a_file_saved_by_a_spreadsheet_is_read_and_appended_to(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert read_corrections(tmp_path) == (ADD,)
    append_corrections(tmp_path, [REMOVE])
    assert read_corrections(tmp_path) == (ADD, REMOVE)


@pytest.mark.parametrize(
    "header", [b"fname,class,verdict,who,when,why%s" % end for end in (b"\n", b"", b"\r\n", b"\r")]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_of_which_all_verdicts_were_deleted_is_appended_to(tmp_path: Path, header: bytes, mark: bytes) -> None:
    (tmp_path / NAME).write_bytes(mark + header)
    append_corrections(tmp_path, [ADD])
    append_corrections(tmp_path, [REMOVE])
    assert read_corrections(tmp_path) == (ADD, REMOVE)


def test_a_file_by_hand_needs_three_columns(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("verdict,fname,class\nadd,a.wav,Rain\n")
    by_hand = Correction("a.wav", "Rain", "add", "", "", "")
    assert read_corrections(tmp_path) == (by_hand,)
    append_corrections(tmp_path, [REMOVE])
    assert read_corrections(tmp_path) == (by_hand, REMOVE)
    (tmp_path / NAME).write_text("verdict,fname,class,mood\nadd,a.wav,Rain,good\n")
    with pytest.raises(BadInputError, match=r"columns that no verdict has \(mood\)"):
        append_corrections(tmp_path, [REMOVE])


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}/missing is not there"):
        append_corrections(tmp_path / "missing", [ADD])
    (tmp_path / f".{NAME}.lock").mkdir()  # nothing that can be opened to write
    with pytest.raises(UserError, match=f"{tmp_path} cannot be written to"):
        append_corrections(tmp_path, [ADD])


def test_what_a_link_leads_to_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "other.csv").touch()
    (tmp_path / "set" / NAME).symlink_to(tmp_path / "other.csv")
    with pytest.raises(UserError, match="cannot be written to"):
        append_corrections(tmp_path / "set", [ADD])
    assert (tmp_path / "other.csv").read_bytes() == b""


@pytest.mark.promise("A verdict that a full disk does not take leaves label_corrections.csv as it was.", "kept")
def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_corrections(tmp_path, [ADD])
    before = (tmp_path / NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        append_corrections(tmp_path, [REMOVE])
    assert (tmp_path / NAME).read_bytes() == before


@pytest.mark.promise(
    "Verdicts on labels that are given at the same time are all kept, in whole lines.", "kept", "40 writers"
)
def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    every = [replace(ADD, fname=f"{n}.wav") for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: append_corrections(tmp_path, [one]), every))
    assert sorted(read_corrections(tmp_path), key=str) == sorted(every, key=str)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(SourceFileError, match="not a file"):
        read_corrections(tmp_path)


@pytest.mark.parametrize(
    ("verdicts", "counts"),
    [
        ("", None),
        ("add", "add"),
        ("add remove", "remove"),
        ("add undo", None),
        ("add keep undo", "add"),
        ("add keep undo undo", None),
        ("undo add", "add"),
        ("add undo unsure", "unsure"),
    ],
)
def test_the_last_that_stands_counts(verdicts: str, counts: str | None) -> None:
    given = [replace(ADD, verdict=one) for one in verdicts.split()]
    found = in_force([*given, REMOVE])
    assert found.pop((REMOVE.fname, REMOVE.class_name)) == REMOVE
    assert {key: one.verdict for key, one in found.items()} == ({("a.wav", "Rain"): counts} if counts else {})


LABELS = (("Bell",), ("Rain", "Bell"))


@pytest.mark.parametrize(
    ("before", "verdict", "present", "expected"),
    [
        ("", "keep", False, "keep"),
        ("add", "keep", False, "undo keep"),
        ("add", "keep", True, "keep"),
        ("remove add unsure", "keep", False, "undo undo keep"),
        ("add add", "unsure", False, "undo undo unsure"),
        ("add", "remove", False, "remove"),
        ("remove", "unsure", False, "unsure"),
        ("remove undo", "keep", False, "remove keep"),
        ("remove undo", "keep", True, "keep"),
        ("remove undo", "unsure", False, "unsure"),
        ("add undo", "keep", True, "add keep"),
    ],
)
def test_what_was_shown_is_what_is_kept(before: str, verdict: str, present: bool, expected: str) -> None:
    given = [replace(ADD, verdict=one) for one in before.split()]
    found = as_shown(given, replace(ADD, verdict=verdict), present=present)
    assert [one.verdict for one in found] == expected.split()


def _dataset(folder: Path, *verdicts: str, **options: str) -> KaggleDataset:
    (folder / "train_curated.csv").write_text("fname,labels\na.wav,Bell\nb.wav,Rain;Bell\n")
    append_corrections(folder, [Correction(*one.split(), "", "", "") for one in verdicts])
    return KaggleDataset(folder, **options)  # type: ignore[arg-type]


def test_the_labels_that_are_read_follow_the_verdicts(tmp_path: Path) -> None:
    clips = read_labels(_dataset(tmp_path, "a.wav Rain add", "b.wav Rain remove", "a.wav Rain keep"))
    assert clips.labels == (("Bell", "Rain"), ("Bell",))
    assert clips.given == LABELS
    assert clips.changes == [("a.wav", "Rain", "add"), ("b.wav", "Rain", "remove")]
    assert clips.notes == ("label_corrections.csv: labels added: 1, removed: 1",)
    assert [one.verdict for one in clips.corrections] == ["add", "remove", "keep"]


@pytest.mark.parametrize(
    "verdicts",
    [
        (),
        ("a.wav Rain unsure", "b.wav Bell keep", "a.wav Bell add", "a.wav Rain remove"),
        ("a.wav Rain add", "a.wav Rain undo"),
        ("a.wav Rain add", "a.wav Rain keep", "a.wav Rain undo", "a.wav Rain undo"),
    ],
)
def test_verdicts_that_change_nothing_leave_the_labels(tmp_path: Path, verdicts: tuple[str, ...]) -> None:
    clips = read_labels(_dataset(tmp_path, *verdicts))
    assert (clips.labels, clips.changes, clips.notes) == (LABELS, [], ())


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("a.wav Bell remove", "'a.wav': no label is left"),
        ("a.wav Ran add", "'a.wav': 'Ran', to be added, is not a class"),
    ],
)
def test_verdicts_that_cannot_be_followed_are_named(tmp_path: Path, verdict: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as raised:
        read_labels(_dataset(tmp_path, verdict))
    assert "undo" in raised.value.summary


def test_a_verdict_on_a_clip_that_is_gone_and_the_last_of_a_class_are_said(tmp_path: Path) -> None:
    clips = read_labels(_dataset(tmp_path, "gone.wav Rain add", "b.wav Rain remove", "b.wav rain remove"))
    assert clips.notes[1:] == (
        "label_corrections.csv: no clip is left of 'Rain'",
        "label_corrections.csv: verdicts on clips that train_curated.csv does not name: 'gone.wav'",
        "label_corrections.csv: verdicts on what is no class: 'rain'",
    )
    (tmp_path / "sample_submission.csv").write_text("fname,Bell,Rain\n")
    with pytest.raises(BadInputError, match="as label_corrections.csv corrects them"):
        read_classes(KaggleDataset(tmp_path), read_labels(KaggleDataset(tmp_path)))


def test_a_class_that_only_the_submission_names_may_be_added(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, "a.wav Gong add")
    (tmp_path / "sample_submission.csv").write_text("fname,Bell,Gong,Rain\n")
    assert read_labels(dataset).labels[0] == ("Bell", "Gong")
    assert read_classes(dataset, read_labels(dataset)) == ("Bell", "Gong", "Rain")


def test_names_of_verdicts_may_be_matched_loosely_too(tmp_path: Path) -> None:
    (tmp_path / "train_curated").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "train_curated" / name).touch()
    clips = read_labels(_dataset(tmp_path, "A.WAV Rain add", "a.wav Rain undo", match_names="loose"))
    assert (clips.labels, clips.notes) == (LABELS, ())
