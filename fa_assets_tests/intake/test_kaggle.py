"""The CSV files of a dataset: what is read from them, and that what does not fit is refused, every offender named."""

from pathlib import Path

import numpy as np
import pytest

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_given_folds, read_labels
from fa_assets.intake.test_set import read_submission_clips


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    (tmp_path / "train_curated").mkdir()
    return KaggleDataset(tmp_path)


def write(dataset: KaggleDataset, labels: str, submission: str | None = None, folds: str | None = None) -> None:
    dataset.labels_csv.write_text(labels)
    if submission is not None:
        dataset.sample_submission_csv.write_text(submission)
    if folds is not None:
        dataset.folds_csv.write_text(folds)


def test_labels_are_split_at_commas_and_semicolons_in_file_order(dataset: KaggleDataset) -> None:
    write(dataset, 'fname,labels\nb.wav,"Rain,Bell"\na.wav,Kick;Rain\nc/d.wav,Bell\n')
    clips = read_labels(dataset)
    assert clips.fnames == ("b.wav", "a.wav", "c/d.wav")
    assert clips.labels == (("Rain", "Bell"), ("Kick", "Rain"), ("Bell",))


def test_a_byte_order_mark_and_further_columns_do_no_harm(dataset: KaggleDataset) -> None:
    dataset.labels_csv.write_bytes("\ufefffname,labels,license\na.wav,Rain,CC0\n".encode())
    assert read_labels(dataset).fnames == ("a.wav",)


def test_columns_that_would_share_out_the_clips_are_said_not_to_be_used(dataset: KaggleDataset) -> None:
    write(dataset, "fname,labels,split,Fold\na.wav,Rain,train,1\nb.wav,Bell,test,2\n")
    clips = read_labels(dataset)
    assert clips.fnames == ("a.wav", "b.wav")
    assert any(
        "not used: 'split', 'Fold'; given folds belong into train_curated_folds.csv" in one for one in clips.notes
    )


def test_a_label_that_looks_like_a_missing_value_is_a_label(dataset: KaggleDataset) -> None:
    write(dataset, "fname,labels\na.wav,NA\nb.wav,None\n")
    assert read_labels(dataset).labels == (("NA",), ("None",))


def test_a_group_that_stands_for_nothing_is_none(dataset: KaggleDataset) -> None:
    groups = ["NaN", "null", "None", "-", "n/a", "Nancy", " site ", ""]
    write(dataset, "fname,labels,group\n" + "".join(f"{n}.wav,Rain,{group}\n" for n, group in enumerate(groups)))
    clips = read_labels(dataset)
    assert clips.groups == ("", "", "", "", "", "Nancy", "site", "")
    said = "train_curated.csv: 'group' is taken as empty in 5 rows, which hold '-', 'NaN', 'None', 'n/a', 'null'"
    assert clips.notes == (said,)


@pytest.mark.promise(
    "Rows that cannot be used are all named at once, such as names that lead out of the folder of clips.", "input"
)
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ["train_curated.csv"]),
        ("fname,label\na.wav,Rain\n", ["no column labels", "fname, label"]),
        ("fname,labels\n", ["no rows"]),
        ("fname,labels\na.wav,Rain\nb.wav,Rain\na.wav,Bell\nb.wav,Bell\n", ["'a.wav': 2 rows", "'b.wav': 2 rows"]),
        ("fname,labels\na.wav,\nb.wav,  \n", ["'a.wav': no labels", "'b.wav': no labels"]),
        ('fname,labels\na.wav,"Rain,"\n', ["'a.wav': an empty label"]),
        ('fname,labels\na.wav,"Rain,Rain"\n', ["'a.wav': a label twice"]),
        ("fname,labels\n/etc/passwd,Rain\nC:\\x.wav,Rain\n", ["'/etc/passwd': an absolute", "x.wav': an absolute"]),
        ("fname,labels\n../a.wav,Rain\nx/../../b.wav,Rain\n", ["'../a.wav': leads out", "'x/../../b.wav': leads out"]),
        ("fname,labels\n..\\a.wav,Rain\n", ["leads out"]),
        ("fname,labels\na.wav,Rain,Bell\nb.wav\n", ["'a.wav': 3 cells", "'b.wav': 1 cells", "in quotes"]),
        ('fname,labels\n"a.wav,Rain\n', ["not a CSV file"]),
        ("fname,labels\n,Rain\n", ["row 1: an empty fname"]),
    ],
)
def test_rows_that_cannot_be_used_are_all_named(dataset: KaggleDataset, text: str, named: list[str]) -> None:
    write(dataset, text)
    with pytest.raises(BadInputError) as caught:
        read_labels(dataset)
    for part in named:
        assert part in str(caught.value)


def test_bytes_that_are_no_text_are_refused(dataset: KaggleDataset) -> None:
    dataset.labels_csv.write_bytes(b"fname,labels\n\xff\xfe\x00a.wav,Rain\n")
    with pytest.raises(BadInputError, match=r"train_curated\.csv"):
        read_labels(dataset)


def test_a_missing_csv_or_folder_says_what_a_dataset_is(dataset: KaggleDataset) -> None:
    with pytest.raises(BadInputError, match=r"train_curated\.csv is missing.*FA_DATASET"):
        read_labels(dataset)
    with pytest.raises(UserError, match="not a folder.*FA_DATASET"):
        read_labels(KaggleDataset(dataset.root / "nowhere"))
    (dataset.root / "Train_curated.csv.csv").write_text("fname,labels\na.wav,Rain\n")
    with pytest.raises(BadInputError, match="There is 'Train_curated.csv.csv': a CSV of that name is needed"):
        read_labels(dataset)


def test_classes_come_in_submission_order_or_sorted(dataset: KaggleDataset) -> None:
    write(dataset, "fname,labels\na.wav,Rain\nb.wav,Bell\n")
    assert read_classes(dataset, read_labels(dataset)) == ("Bell", "Rain")
    write(dataset, "fname,labels\na.wav,Rain\nb.wav,Bell\n", submission="fname,Rain,Bell\nt.wav,0,0\n")
    assert read_classes(dataset, read_labels(dataset)) == ("Rain", "Bell")
    write(dataset, "fname,labels\na.wav,Rain\nb.wav,Bell\n", submission=",fname,Rain,Bell\n0,t.wav,0,0\n")
    assert read_classes(dataset, read_labels(dataset)) == ("Rain", "Bell")


@pytest.mark.parametrize(
    ("submission", "named"),
    [
        ("fname,Rain\n", ["'Bell': a label of 1 clips, but no class"]),
        ("fname,Rain,Bell,Kick,Horn\n", ["'Kick': a class that no clip has", "'Horn': a class that no clip has"]),
        ("fname,Rain,Bell,Rain\n", ["'Rain': 2 columns"]),
        ("fname,Rain,Bell,fname\n", ["'fname': the name of the column of clips"]),
        ("Rain,Bell\n", ["first column must be fname"]),
        ("fname\n", ["first column must be fname"]),
    ],
)
def test_classes_that_do_not_fit_the_labels_are_named(
    dataset: KaggleDataset, submission: str, named: list[str]
) -> None:
    write(dataset, "fname,labels\na.wav,Rain\nb.wav,Bell\n", submission=submission)
    with pytest.raises(BadInputError) as caught:
        read_classes(dataset, read_labels(dataset))
    for part in named:
        assert part in str(caught.value)


def test_given_folds_are_used_as_they_are_in_the_order_of_the_clips(dataset: KaggleDataset) -> None:
    write(dataset, "", folds="fname,labels,fold\nb.wav,Rain,1\na.wav,Rain,0\nc.wav,Rain,1\n")
    folds = read_given_folds(dataset, ["a.wav", "b.wav", "c.wav"], n_folds=2)
    assert folds is not None
    np.testing.assert_array_equal(folds, [0, 1, 1])
    write(dataset, "", folds="fname,fold\na.wav,0.0\nb.wav,1.0\n")
    np.testing.assert_array_equal(read_given_folds(dataset, ["b.wav", "a.wav"], n_folds=2), [1, 0])


def test_without_the_file_no_folds_are_given(dataset: KaggleDataset) -> None:
    assert read_given_folds(dataset, ["a.wav"], n_folds=2) is None


def test_given_folds_that_do_not_fit_are_named(dataset: KaggleDataset) -> None:
    write(
        dataset, "", folds="fname,labels,fold\na.wav,Rain,0\nb.wav,Rain,7\nd.wav,Rain,x\na.wav,Rain,1\nC.wav,Rain,1\n"
    )
    with pytest.raises(BadInputError) as caught:
        read_given_folds(dataset, ["a.wav", "b.wav", "c.wav"], n_folds=3)
    for part in (
        "'a.wav': 2 rows",
        "'b.wav': fold '7'",
        "'d.wav': fold 'x'",
        "'c.wav': no row; there is 'C.wav'",
        "fold 2: no clip",
    ):
        assert part in str(caught.value)


def write_test_set(dataset: KaggleDataset, *fnames: str) -> None:
    for fname in fnames:
        (dataset.test_folder / fname).parent.mkdir(parents=True, exist_ok=True)
        (dataset.test_folder / fname).write_text("audio")


def test_the_test_clips_are_the_rows_of_the_sample_submission_with_what_is_known_of_them(
    dataset: KaggleDataset,
) -> None:
    write_test_set(dataset, "a.wav", "b.wav", "c.wav", ".hidden.wav")
    write(dataset, "fname,labels\nx.wav,Rain\n", submission="fname,Rain,Bell\nc.wav,0,0\na.wav,0,0\n")
    dataset.test_csv.write_text('fname,labels,usage\na.wav,"Bell,Rain",Public\nz.wav,Bell,NaN\nc.wav,,\nA.wav,Rain,\n')
    clips = read_submission_clips(dataset, ("Rain", "Bell"))
    assert "test.csv: 'usage' is taken as empty in 1 rows, which hold 'NaN'" in clips.notes
    assert "test.csv: rows without labels are taken as unknown: 'c.wav'" in clips.notes
    assert (
        "2 rows of test.csv name no test clip: 'A.wav', 'z.wav'; there is 'a.wav', which differs by" in clips.notes[-1]
    )
    assert clips.fnames == ("c.wav", "a.wav")
    assert clips.labels == (None, ("Bell", "Rain"))
    assert clips.usage == ("", "Public")


def test_without_rows_the_test_clips_are_what_lies_in_the_folder_and_without_one_there_are_none(
    dataset: KaggleDataset,
) -> None:
    write(dataset, "fname,labels\nx.wav,Rain\n", submission="fname,Rain\nc.wav,0\n")
    dataset.test_csv.write_text("fname,labels\nc.wav,Rain\n")
    without = read_submission_clips(dataset, ("Rain",))
    assert without.fnames == () and len(without.notes) == 2
    assert all(f"but {dataset.test_folder} is not there: no submission is made" in one for one in without.notes)
    dataset.test_csv.unlink()
    write_test_set(dataset, "b.wav", "a/c.wav", ".hidden.wav")
    write(dataset, "fname,labels\nx.wav,Rain\n", submission="fname,Rain\n")
    assert read_submission_clips(dataset, ("Rain",)).fnames == ("a/c.wav", "b.wav")


@pytest.mark.parametrize(
    ("submission", "test", "offenders"),
    [
        ("fname,Rain\na.wav,0\ngone.wav,0\n", None, ["'gone.wav': not in"]),
        ("fname,Rain\na.wav,0\na.wav,0\n", None, ["'a.wav': 2 rows"]),
        ("fname,Rain\n../a.wav,0\n", None, ["leads out of the folder"]),
        ("fname,Rain\na.wav,0\n", "fname,labels\na.wav,Snow\n", ["'a.wav': 'Snow' is not a class"]),
        ("fname,Rain\na.wav,0\n", "fname,labels\na.wav,Rain\na.wav,Rain\n", ["'a.wav': 2 rows"]),
    ],
)
def test_test_clips_that_cannot_be_used_are_named(
    dataset: KaggleDataset, submission: str, test: str | None, offenders: list[str]
) -> None:
    write_test_set(dataset, "a.wav")
    write(dataset, "fname,labels\nx.wav,Rain\n", submission=submission)
    if test is not None:
        dataset.test_csv.write_text(test)
    with pytest.raises(BadInputError) as caught:
        read_submission_clips(dataset, ("Rain",))
    assert len(caught.value.offenders) == len(offenders)
    assert all(want in got for want, got in zip(offenders, caught.value.offenders, strict=True))
