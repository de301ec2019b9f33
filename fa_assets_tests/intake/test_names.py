"""Names in tables that no file has: what is there instead is said, and matched where that is wanted."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fa_assets.errors import BadInputError
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, read_given_folds, read_labels
from fa_assets.intake.names import NameIndex, hint
from fa_assets.intake.recordings import scan_recordings
from fa_assets.intake.test_set import read_submission_clips

CASES = {
    "case": ("C{n}.WAV", "c{n}.wav", "upper and lower case"),
    "no-extension": ("c{n}", "c{n}.wav", "the file extension"),
    "other-extension": ("c{n}.mp3", "c{n}.flac", "the file extension"),
    "folder": ("train_curated/c{n}.wav", "c{n}.wav", "the folder"),
    "no-folder": ("c{n}.wav", "sub/c{n}.wav", "the folder"),
    "backslash": ("sub\\c{n}.wav", "sub/c{n}.wav", "the backslash"),
    "backslash-and-folder": ("sub\\c{n}.wav", "c{n}.wav", "the backslash and the folder"),
    "blanks": (" c{n}.wav ", "c{n}.wav", "blanks"),
    "two-extensions": ("c{n}.wav.wav", "c{n}.wav", "the file extension"),
    "quotes": ("'c{n}.wav'", "c{n}.wav", "quotes"),
    "zero-width": ("\ufeffc{n}.wav", "c{n}.wav", "blanks"),
    "zero-width-inside": ("c{n}\u200b.wav", "c{n}.wav", "blanks"),
    "nfd": ("Mu\u0308cke{n}.wav", "M\u00fccke{n}.wav", "the Unicode form"),
    "nfc": ("M\u00fccke{n}.wav", "Mu\u0308cke{n}.wav", "the Unicode form"),
    "percent": ("my%20clip{n}.wav", "my clip{n}.wav", "percent signs"),
    "address": ("c{n}.wav?raw=1", "c{n}.wav", "a question, as in web addresses"),
    "archive": ("{n}", "XC{n}.wav", "the file extension and what archives put before numbers"),
    "underscore": ("my_clip{n}.wav", "my clip{n}.wav", "an underscore for a blank"),
    "zeros": ("{n}", "000{n}.wav", "the file extension and zeros of a number"),
    "a-float": ("1{n}.0", "1{n}.wav", "the file extension and zeros of a number"),
    "dots": ("rec.2023.{n}", "rec.2023.{n}.wav", "the file extension"),
}


def make(tmp_path: Path, written: str, there: str, count: int = 6) -> KaggleDataset:
    dataset = KaggleDataset(tmp_path)
    rows = []
    for n in range(count):
        path = dataset.clips_folder / there.format(n=n)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(n).uniform(-0.5, 0.5, 800), 8_000)
        rows.append(f'"{written.format(n=n)}",Dog')
    dataset.labels_csv.write_text("\n".join(["fname,labels", *rows]), encoding="utf-8")
    return dataset


@pytest.mark.parametrize("case", CASES)
def test_names_that_all_miss_for_one_reason_are_one_line_and_can_be_matched_loosely(tmp_path: Path, case: str) -> None:
    written, there, what = CASES[case]
    dataset = make(tmp_path, written, there)
    with pytest.raises(BadInputError) as caught:
        inspect_clips(dataset.clips_folder, read_labels(dataset))
    (line,) = str(caught.value).splitlines()
    for part in (what, repr(written.format(n=0)), repr(there.format(n=0)), "FA_MATCH_NAMES=loose"):
        assert part in line
    loose = KaggleDataset(tmp_path, match_names="loose")
    labelled = read_labels(loose)
    assert labelled.fnames == tuple(there.format(n=n) for n in range(6))
    assert what in labelled.notes[0] and "6 names" in labelled.notes[0]
    assert len(inspect_clips(loose.clips_folder, labelled).clips) == 6
    versions = {scan_recordings(one, tmp_path / "memory.json").curated.data_version for one in (dataset, loose)}
    assert len(versions) == 2
    loose.folds_csv.write_text(
        "fname,fold\n" + "".join(f'"{written.format(n=n)}",{n % 2}\n' for n in range(6)), encoding="utf-8"
    )
    folds = read_given_folds(loose, labelled.fnames, 2)
    assert folds is not None and folds.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_single_name_says_what_is_there_and_several_are_not_guessed(tmp_path: Path) -> None:
    dataset = make(tmp_path, "c{n}.wav", "c{n}.wav")
    (dataset.clips_folder / "c0.wav").rename(dataset.clips_folder / "C0.wav")
    (dataset.clips_folder / "c1.wav").rename(dataset.clips_folder / "c1.flac")
    soundfile.write(dataset.clips_folder / "c1.aiff", np.zeros(800), 8_000)
    for match_names, missing in (("exact", ["'c0.wav'", "'c1.wav'"]), ("loose", ["'c1.wav'"])):
        with pytest.raises(BadInputError) as caught:
            inspect_clips(dataset.clips_folder, read_labels(KaggleDataset(tmp_path, match_names=match_names)))  # type: ignore[arg-type]
        assert [one.partition(": ")[0] for one in caught.value.offenders] == missing
        assert "any of 'c1.aiff', 'c1.flac'" in caught.value.offenders[-1]
        assert ("FA_MATCH_NAMES=loose" in caught.value.summary) == (match_names == "exact")


@pytest.mark.parametrize(
    ("there", "said"), [(["x.wav"], "which holds 'x.wav'"), ([], "which is empty"), (None, "is missing")]
)
def test_a_folder_of_other_clips_is_one_line(tmp_path: Path, there: list[str] | None, said: str) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,labels\na.wav,Dog\nb.wav,Dog\n")
    if there is not None:
        dataset.clips_folder.mkdir()
    for name in there or ():
        (dataset.clips_folder / name).touch()
    with pytest.raises(BadInputError) as caught:
        inspect_clips(dataset.clips_folder, read_labels(dataset), on_bad_clip="skip")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["/home/me/clips/c{n}.wav", "C:\\clips\\c{n}.wav", "D:/c{n}.WAV", "\\\\host\\c{n}.wav"]
)
def test_absolute_names_are_matched_loosely_by_their_last_part(tmp_path: Path, name: str) -> None:
    make(tmp_path, name, "sub/c{n}.wav")
    with pytest.raises(BadInputError, match="an absolute path; .* or set FA_MATCH_NAMES=loose"):
        read_labels(KaggleDataset(tmp_path))
    labelled = read_labels(KaggleDataset(tmp_path, match_names="loose"))
    assert labelled.fnames == tuple(f"sub/c{n}.wav" for n in range(6))
    assert "6 names are matched loosely" in labelled.notes[0]


@pytest.mark.promise("No loosely matched name leads out of the folder of clips.", "input", "6 names")
@pytest.mark.parametrize(
    "name", ["../c0.wav", "/other.wav", "..\\c0.wav", "C:\\other.wav", "a/../../c0.wav", "C:\\a\\..\\c0.wav"]
)
def test_names_that_climb_out_stay_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path, name, "c{n}.wav", count=1)
    with pytest.raises(BadInputError, match="leads out|absolute"):
        read_labels(KaggleDataset(tmp_path, match_names="loose"))


def test_one_clip_in_two_spellings_is_twice_there(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,labels\n./c.wav,Dog\nc.wav,Dog\nd//e.wav,Dog\n")
    with pytest.raises(BadInputError) as caught:
        read_labels(dataset)
    assert caught.value.offenders == (
        "'c.wav': 2 rows",
        "2 names are read in their shortest form: './c.wav' is 'c.wav'",
    )


def test_a_name_stands_for_no_file_of_another_folder() -> None:
    index = NameIndex(["a/x.wav", "b/y.wav", "b/deep/z.wav"])
    assert index.find("b/x.wav") == []
    assert index.find("deep/z.wav") == ["b/deep/z.wav"]
    assert index.find("old/b/y.wav") == ["b/y.wav"]
    assert index.find("a/x.wav") == ["a/x.wav"]


def test_what_is_left_out_of_the_test_set_is_said(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.test_folder.mkdir()
    for name in ("a.wav", "b.wav", "notes.txt"):
        (dataset.test_folder / name).touch()
    clips = read_submission_clips(dataset, ("Dog",))
    assert clips.fnames == ("a.wav", "b.wav")
    assert "not audio by their names and are left out: 'notes.txt'" in clips.notes[0]
    dataset.sample_submission_csv.write_text("fname,Dog\nA.WAV,0\n")
    with pytest.raises(BadInputError, match="there is 'a.wav'"):
        read_submission_clips(dataset, ("Dog",))
    dataset.test_csv.write_text("fname,labels\nx.wav,Dog\n")
    clips = read_submission_clips(KaggleDataset(tmp_path, match_names="loose"), ("Dog",))
    assert clips.fnames == ("a.wav",)
    said = " ".join(clips.notes)
    assert "have no row in sample_submission.csv and are left out: 'b.wav', 'notes.txt'" in said
    assert "1 rows of test.csv name no test clip: 'x.wav'" in said
    for path in dataset.test_folder.iterdir():
        path.unlink()
    dataset.test_folder.rmdir()
    clips = read_submission_clips(dataset, ("Dog",))
    assert clips.fnames == () and "names 1 test clips, but" in clips.notes[0]


@pytest.mark.parametrize(
    ("written", "there", "hinted"),
    [
        ("dog-bark_01.wav", "dog_bark_01.wav", True),
        ("doggbark01.wav", "dogbark01.wav", True),
        ("clip12.wav", "clip13.wav", False),  # another number is another clip
        ("a.wav", "b.wav", False),
        ("rain_1.wav", "dog_1.wav", False),
    ],
)
def test_a_typing_error_is_hinted_at_and_never_matched(written: str, there: str, hinted: bool) -> None:
    index = NameIndex([there, "quite_another_99.flac"])
    assert index.find(written) == []
    assert index.matched([written])[0] == [written]
    assert (f"there is {there!r}, whose name is nearly the same" in hint(index, written)) == hinted
