"""Verdicts from tables, Label Studio and label tracks, and train_curated.csv corrected."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.correcting import give_verdicts, write_corrected_csv
from fa_assets.intake.corrections import NAME, Correction, append_corrections, in_force, read_corrections
from fa_assets.intake.exchange import (
    CONFIG,
    TASKS,
    Asked,
    verdicts_from_others,
    verdicts_from_table,
    write_audacity,
    write_label_studio,
)
from fa_assets.intake.kaggle import KaggleDataset, read_labels

TABLE = 'fname,labels,group,note\na.wav,Bell,x,"first, one"\nsub/b.wav,"Rain;""Bell, small""",y,\nc.wav,Rain,,\n'
SMALL = "Bell, small"
ASKED = [Asked("a.wav", ["Bell"], 1.5, ["Rain", "Bell"]), Asked("sub/b.wav", ["Rain", SMALL], 2.0, ["Bell"])]


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train_curated.csv").write_text(TABLE)
    return KaggleDataset(tmp_path / "set")


def verdict(*words: str) -> Correction:
    return Correction(*words, "ada", "2026-11-29T22:50:00+00:00", "")


def said(verdicts: Sequence[Correction]) -> list[tuple[str, str, str]]:
    return [(one.fname, one.class_name, one.verdict) for one in verdicts]


def test_a_table_of_corrections_is_appended_once(dataset: KaggleDataset, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("fname;class;verdict\na.wav;Rain;add\nc.wav;Rain;keep\n")
    verdicts = verdicts_from_table(dataset, table, "ada")
    assert {one.who for one in verdicts} == {"ada"}
    assert all(one.when for one in verdicts)
    assert len(give_verdicts(dataset, verdicts).appended) == 2
    again = give_verdicts(dataset, verdicts_from_table(dataset, table, "bob"))
    assert (again.appended, again.already) == ((), 2)
    assert read_labels(dataset).labels[0] == ("Bell", "Rain")


def test_of_an_edited_label_audit_only_the_decided_rows_count(dataset: KaggleDataset, tmp_path: Path) -> None:
    table = tmp_path / "label_audit.csv"
    table.write_text("rank,fname,class_name,kind\n1,a.wav,Rain,missing label\n")
    with pytest.raises(BadInputError, match="no column 'verdict': add one"):
        verdicts_from_table(dataset, table, "ada")
    table.write_text(
        "rank,fname,class_name,kind,verdict\n1,a.wav,Rain,missing label,\n2,c.wav,Bell,missing label,Add\n"
        f'3,sub/b.wav,"{SMALL}",wrong label,keep\n'
    )
    assert said(verdicts_from_table(dataset, table, "ada")) == [("c.wav", "Bell", "add"), ("sub/b.wav", SMALL, "keep")]


@pytest.mark.parametrize(
    ("verdicts", "offender"),
    [
        ([("x.wav", "Rain", "keep")], "'x.wav': not in train_curated.csv"),
        ([("b.wav", "Rain", "keep")], "there is 'sub/b.wav'"),
        ([("a.wav", "Gong", "add")], "'Gong', of 'a.wav': no class"),
        ([("a.wav", "Rain", "add"), ("c.wav", "Rain", "remove")], "'c.wav': no label is left"),
    ],
)
def test_nothing_is_written_where_one_verdict_cannot_be_followed(
    dataset: KaggleDataset, verdicts: list[tuple[str, str, str]], offender: str
) -> None:
    with pytest.raises(BadInputError, match=offender):
        give_verdicts(dataset, [verdict(*one) for one in verdicts])
    assert not dataset.corrections_csv.exists()


def test_a_label_is_replaced_in_any_order_of_its_verdicts(dataset: KaggleDataset) -> None:
    give_verdicts(dataset, [verdict("c.wav", "Rain", "remove"), verdict("c.wav", "Bell", "add")])
    assert read_labels(dataset).labels[2] == ("Bell",)
    given = give_verdicts(dataset, [verdict("c.wav", "Rain", "undo"), verdict("c.wav", "Bell", "undo")])
    assert len(given.appended) == 2
    assert read_labels(dataset).labels[2] == ("Rain",)


def test_label_studio_there_and_back(dataset: KaggleDataset, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write_label_studio(folder, ASKED, ["Bell", SMALL, 'a "<b>"'], "/data/local-files/?d=train_curated/")
    config = (folder / CONFIG).read_text()
    assert '<Choice value="Bell"/>' in config
    assert "<Choice value='a \"&lt;b&gt;\"'/>" in config
    tasks = json.loads((folder / TASKS).read_text())
    assert tasks[1]["data"]["audio"] == "/data/local-files/?d=train_curated/sub/b.wav"
    with pytest.raises(UserError, match="is not empty"):
        write_label_studio(folder, ASKED, [], "")

    def annotation(updated: str, labels: list[str], **more: object) -> dict[str, object]:
        chosen = replace_choices(tasks[0]["predictions"][0]["result"][0], labels)
        return {"result": [chosen], "updated_at": updated, "completed_by": {"id": 1, "email": "eve@x.org"}, **more}

    tasks[0]["annotations"] = [
        annotation("2026-02-01T00:00:00Z", ["Bell", "Rain"]),
        annotation("2026-01-01T00:00:00Z", ["Rain"]),
    ]
    tasks[1]["annotations"] = [annotation("2026-01-01T00:00:00Z", ["Bell"], was_cancelled=True)]
    exported = tmp_path / "export.json"
    exported.write_text(json.dumps(tasks))
    found = verdicts_from_others(dataset, exported, "ada")
    assert said(found) == [("a.wav", "Rain", "add"), ("a.wav", "Bell", "keep")]
    assert {one.who for one in found} == {"eve@x.org"}
    give_verdicts(dataset, found)
    assert said(verdicts_from_others(dataset, exported, "ada")) == [
        ("a.wav", "Bell", "keep"),
        ("a.wav", "Rain", "keep"),
    ]


def replace_choices(result: dict[str, object], labels: list[str]) -> dict[str, object]:
    return {**result, "value": {"choices": labels}}


@pytest.mark.parametrize(
    "text",
    ["[{", "{}x", '{"a": 1}', "[1]", '[{"data": {}, "annotations": [{"result": []}]}]', "[" * 100_000],
    ids=["cut", "no JSON", "an object", "numbers", "no clip", "deep"],
)
def test_what_is_not_an_export_of_label_studio_is_refused(dataset: KaggleDataset, tmp_path: Path, text: str) -> None:
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(BadInputError, match="not an export of Label Studio's tasks"):
        verdicts_from_others(dataset, tmp_path / "export.json", "ada")


def test_audacity_there_and_back(dataset: KaggleDataset, tmp_path: Path) -> None:
    folder = tmp_path / "tracks"
    write_audacity(folder, ASKED)
    track = folder / "sub" / "b.txt"
    assert track.read_text() == f"0.000000\t2.000000\tRain\n0.000000\t2.000000\t{SMALL}\n"
    assert verdicts_from_others(dataset, folder, "ada") == []
    track.write_text(f"0.000000\t2.000000\tBell\n0.500000\t2.000000\t{SMALL}\n")
    expected = [("sub/b.wav", "Bell", "add"), ("sub/b.wav", "Rain", "remove")]
    assert said(verdicts_from_others(dataset, folder, "ada")) == expected
    (folder / "notes.txt").write_text("what I heard\n")
    with pytest.raises(BadInputError, match="must be a label track") as raised:
        verdicts_from_others(dataset, folder, "ada")
    assert raised.value.offenders == ("notes.txt",)
    with pytest.raises(UserError, match="would have the same label track, a.txt"):
        write_audacity(tmp_path / "twice", [ASKED[0], replace(ASKED[0], fname="a.flac")])


def test_the_table_is_corrected_and_the_old_one_kept(dataset: KaggleDataset) -> None:
    verdicts = [
        verdict("a.wav", "Rain", "add"),
        verdict("sub/b.wav", "Rain", "remove"),
        verdict("c.wav", "Bell", "keep"),
        verdict("a.wav", "Rain", "keep"),
    ]
    append_corrections(dataset.root, verdicts)
    labels = read_labels(dataset).labels
    written = write_corrected_csv(dataset, "ada")
    assert written is not None
    assert written.changes == 2
    assert written.backup.read_text() == TABLE
    with dataset.labels_csv.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["fname", "labels", "group", "note"],
            ["a.wav", "Bell,Rain", "x", "first, one"],
            ["sub/b.wav", f'"{SMALL}"', "y", ""],
            ["c.wav", "Rain", "", ""],
        ]
    again = read_labels(dataset)
    assert (again.labels, again.changes) == (labels, [])
    standing = in_force(read_corrections(dataset.root))
    assert {one.verdict for one in standing.values()} == {"keep"}
    assert standing["a.wav", "Rain"].why == "add written to train_curated.csv"
    assert write_corrected_csv(dataset, "ada") is None
    # From now on the table counts: what is corrected in it by hand is not corrected back.
    dataset.labels_csv.write_text(TABLE)
    assert read_labels(dataset).changes == []


def test_a_table_with_a_column_for_each_class_is_left_alone(dataset: KaggleDataset) -> None:
    dataset.labels_csv.write_text("fname,Bell,Rain\na.wav,1,0\nb.wav,0,1\n")
    append_corrections(dataset.root, [verdict("a.wav", "Rain", "add")])
    with pytest.raises(BadInputError, match=f"no column 'labels'.*{NAME} corrects them"):
        write_corrected_csv(dataset, "ada")


def test_the_separator_of_labels_stays(dataset: KaggleDataset) -> None:
    dataset.labels_csv.write_text("fname,labels\na.wav,Bell/Rain\nb.wav,Rain\n")
    slashes = replace(dataset, label_separator="/")
    append_corrections(dataset.root, [verdict("b.wav", "Bell", "add")])
    assert write_corrected_csv(slashes, "ada") is not None
    assert dataset.labels_csv.read_text() == "fname,labels\na.wav,Bell/Rain\nb.wav,Rain/Bell\n"
