"""Tables as people and programs write them: read, with a line that says as what, or refused with the reason."""

import codecs
import re
import shlex
from pathlib import Path

import pytest

from fa_assets.errors import BadInputError
from fa_assets.intake.kaggle import KaggleDataset, read_labels
from fa_assets.intake.labels import split_labels
from fa_assets.intake.tables import read_table
from fa_assets_tests.command_line import fa_assets

PLAIN = "fname,labels\na.wav,Müll\nb.wav,Rain\n"
SAME = (("Müll",), ("Rain",))
JSON = (
    ('[{" fname ": "a.wav", "labels ": "Müll"}, {"fname": "b.wav", "labels": "Rain"}]', "JSON"),
    ('[\n{"fname": "a.wav", "labels": "Müll"},\n{"fname": "b.wav", "labels": "Rain"}\n]\n', "JSON"),
    (
        '\ufeff{"fname": "a.wav", "labels": ["M\\u00fcll"]}\r\n\r\n{"labels": ["Rain"], "fname": "b.wav"}\r\n',
        "JSON Lines",
    ),
    ('{"a.wav": ["Müll"], "b.wav": "Rain"}', "JSON, labels by the names of clips"),
    ('{"a.wav": {"labels": ["Müll"]}, "b.wav": {"labels": ["Rain"]}}', "JSON, objects by their keys"),
    (
        '{"0": {"fname": "a.wav", "labels": "Müll"}, "1": {"fname": "b.wav", "labels": "Rain"}}',
        "JSON, objects by their keys",
    ),
    (
        '{"fname": {"0": "a.wav", "7": "b.wav"}, "labels": {"0": "Müll", "7": "Rain"}}',
        "JSON, an object for each column",
    ),
    ('{"fname": ["a.wav", "b.wav"], "labels": ["Müll", "Rain"]}', "JSON, a list for each column"),
    (
        '{"version": 1, "data": [{"fname": "a.wav", "labels": "Müll"}, {"fname": "b.wav", "labels": "Rain"}]}',
        "JSON, the list 'data'",
    ),
)


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    return KaggleDataset(tmp_path)


@pytest.mark.promise(
    "A table of any usual encoding and dialect is read as what it is, and a line says as what, where it is not plain.",
    "input",
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(PLAIN.encode(), "", id="plain"),
        pytest.param(codecs.BOM_UTF8 + PLAIN.encode(), "", id="byte-order-mark"),
        pytest.param(PLAIN.encode("utf-16"), "encoded in UTF-16", id="utf-16"),
        pytest.param(codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "encoded in UTF-16", id="utf-16-big-endian"),
        pytest.param(PLAIN.encode("utf-16-le"), "encoded in UTF-16-LE", id="utf-16-without-a-mark"),
        pytest.param(PLAIN.encode("utf-32"), "encoded in UTF-32", id="utf-32"),
        pytest.param(PLAIN.encode("latin-1"), "Windows-1252 (Latin-1), as in 'Müll'", id="latin-1"),
        pytest.param(PLAIN.replace(",", ";").encode(), "separated by semicolons", id="semicolons"),
        pytest.param(
            PLAIN.replace(",", "\t").encode("utf-16"), "UTF-16 and separated by tabs", id="unicode-text-of-excel"
        ),
        pytest.param(PLAIN.replace(",", "|").encode(), "separated by vertical bars", id="bars"),
        pytest.param(
            re.sub("(?m)^(.+),(.+)$", r"| \1 | \2 |", PLAIN).replace(" |\n", " |\n|---|:--|\n", 1).encode(),
            "separated by vertical bars and a table in Markdown",
            id="markdown",
        ),
        pytest.param(
            b"sep=;\r\n" + PLAIN.replace(",", ";").encode(), "separated by semicolons (its first line)", id="sep"
        ),
        pytest.param(b'"sep=,"\n' + PLAIN.encode(), "separated by commas (its first line)", id="sep-in-quotes"),
        pytest.param(PLAIN.replace("\n", "\r").encode(), "lines ended by CR", id="old-mac"),
        pytest.param(PLAIN.replace("\n", "\x85").encode(), "lines ended by U+0085", id="mainframe"),
        pytest.param(PLAIN.replace("\n", "\u2028").encode(), "lines ended by U+2028", id="line-separators"),
        pytest.param(PLAIN.replace("\n", "\r\n").encode(), "", id="windows"),
        pytest.param(PLAIN.replace("\n", ",\n").encode(), "", id="a-comma-at-each-end"),
        pytest.param(
            PLAIN.replace("v,Müll", "v,Müll,,").replace("v,Rain", "v,Rain,").encode(), "", id="commas-at-row-ends"
        ),
        pytest.param(PLAIN.encode() + b",\n,,\n \n", "", id="rows-of-nothing"),
        pytest.param(b"# made by me\n# in May\n" + PLAIN.encode(), "beginning after 2 lines with #", id="comments"),
        pytest.param('fname, labels\na.wav, "Müll"\nb.wav, "Rain"\n'.encode(), "", id="blanks-before-quotes"),
        pytest.param(codecs.BOM_UTF8 * 2 + PLAIN.encode(), "", id="two-marks"),
        pytest.param(PLAIN.replace(",", " , ").replace("wav ", "wav").encode(), "", id="blanks-in-the-header"),
        pytest.param(PLAIN.encode("utf-32-le"), "encoded in UTF-32-LE", id="utf-32-without-a-mark"),
        pytest.param(PLAIN.encode() + b"\x1a", "", id="end-of-file-of-dos"),
        pytest.param(b"#" + PLAIN.encode(), "", id="a-header-with-a-hash"),
        pytest.param(
            b"# x\r" + PLAIN.replace("\n", "\r").encode(), "1 lines with # and lines ended by CR", id="comment-cr"
        ),
        pytest.param(
            "".join(f'"{line}"\n'.replace(",", "\t") for line in PLAIN.splitlines()).encode(),
            "as a whole (3)",
            id="tabs",
        ),
        *(
            pytest.param(text.encode(), f"train_curated.csv is read as {said}", id=f"json-{n}")
            for n, (text, said) in enumerate(JSON)
        ),
        pytest.param(b"Table 1\n\n" + PLAIN.encode(), "beginning after 'Table 1'", id="a-title-above"),
        pytest.param(
            b"Owls;\n" + PLAIN.replace(",", ";").encode(),
            "separated by semicolons and beginning after 'Owls'",
            id="title;",
        ),
        pytest.param(
            "".join(f'"{line}"\n' for line in PLAIN.splitlines()).encode(),
            "rows in quotes as a whole (3)",
            id="in-quotes",
        ),
        pytest.param('fname,labels\n"a.wav,""Müll"""\nb.wav,Rain\n'.encode(), "as a whole (1)", id="one-in-quotes"),
        pytest.param(
            '"fname" "labels"\n"1" "a.wav" "Müll"\n"2" "b.wav" "Rain"\n'.encode(),
            "separated by blanks and with the number of each row before it, as R writes",
            id="r",
        ),
        pytest.param(
            'fname,labels\n"1","a.wav","Müll"\n"2","b.wav","Rain"\n'.encode(), "the number of each row", id="r-commas"
        ),
        pytest.param(re.sub("[^,\n]+", r'="\g<0>"', PLAIN).encode(), "made of formulas", id="formulas"),
    ],
)
def test_dialects_and_encodings_are_read_and_said(dataset: KaggleDataset, content: bytes, said: str) -> None:
    dataset.labels_csv.write_bytes(content)
    clips = read_labels(dataset)
    assert (clips.fnames, clips.labels) == (("a.wav", "b.wav"), SAME)
    assert (said in " ".join(clips.notes)) if said else not clips.notes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(PLAIN.encode() + b"x\0.wav,Rain\n", "NUL characters(.|\n)*row 3, 'x\\\\x00.wav'", id="nul"),
        pytest.param(PLAIN.encode() + b"\0" * 512, "NUL characters", id="nul-at-the-end"),
        pytest.param(PLAIN.encode("utf-16")[:-1], "damaged or of another encoding", id="half-a-character"),
        pytest.param(PLAIN.encode() + b"c.wav,\xff\n", "neither UTF-8 .line 4.", id="one-damaged-byte"),
        pytest.param("fname,labels\na.wav,犬の鳴き声\n".encode("shift_jis"), "save it as UTF-8", id="shift-jis"),
        pytest.param(b"PK\x03\x04rest", "Excel workbook: export", id="xlsx"),
        pytest.param(b"\n<!DOCTYPE html><html>", "web page", id="html"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull", id="lfs"),
        pytest.param(b"fname,labels,labels\na.wav,A,B\n", "2 columns are called 'labels'", id="two-labels"),
        pytest.param(b"fname,labels,fname\na.wav,A,B\n", "2 columns are called 'fname'", id="two-fnames"),
        pytest.param(b"fname,Dog,Dog\na.wav,1,0\n", "2 columns are called 'Dog'", id="two-classes"),
        pytest.param(
            b'fname,labels\na.wav,A\n"b.wav,B\nc.wav,C\n', "from line 3 on, a quote.*is written twice", id="open-quote"
        ),
        pytest.param(b"fname:labels\na.wav:A\n", "separated by ':': write sep=: into a line above", id="colons"),
        pytest.param(b"fname labels\na.wav A\n", "separated by ' ': write sep=  into a line above", id="blanks"),
        pytest.param(b"fname,labels\na.wav,A,B\n", "row 1, 'a.wav': 3 cells", id="comma-without-quotes"),
        pytest.param(b"fname,labels\na.wav;A\n", "row 1, 'a.wav;A': 1 cells", id="two-separators"),
        pytest.param(
            b"file,labels\na.wav,A\n",
            "no column fname; its columns are file, labels. Rename.*fa-assets init",
            id="other-names",
        ),
        pytest.param(
            b"F_Name;labels\na.wav;A\n", "columns are F_Name, labels. Rename 'F_Name' to 'fname'.$", id="case"
        ),
        pytest.param(b"fname,labels\na.wav,A\na.wav,B\n", "'a.wav': 2 rows", id="a-row-for-each-label"),
        pytest.param(b"fname   labels\na.wav   A\n", "separated by blanks: write one comma", id="columns-of-blanks"),
        pytest.param(b'[{"fname": "a.wav"}]', "no column labels; its columns are fname", id="json-without-labels"),
        pytest.param(b'[{"fname": "a.wav"', "begins as JSON and cannot be read", id="json-cut"),
        pytest.param(b'{"a.wav": "A", "a.wav": "B"}', "'a.wav' is there twice", id="json-twice"),
        pytest.param(b'{"fname": "a", "fname ": "b"}', "'fname' is there twice, but for blanks", id="json-blanks"),
        pytest.param(b'{"fname": "a.wav", "labels": {"A": 1}}', "'labels' holds objects", id="json-objects"),
        pytest.param(b'{"info": {"x": 1}, "n": 2}', "is JSON and no table", id="json-of-settings"),
        pytest.param(b"{}", "is JSON and no table", id="json-empty"),
        pytest.param(b'{"a.wav": ["\\ud800"]}', "half of a character", id="json-surrogate"),
        pytest.param(b'{"a.wav": ["\\u0000"]}', "NUL, or half", id="json-nul-in-a-list"),
        pytest.param(b'{"a\\u0000.wav": "A"}', "NUL, or half", id="json-nul"),
        pytest.param(b"{\\rtf1 fname,labels}", "a text document", id="rtf"),
        pytest.param(b"SQLite format 3\0", "an SQLite database", id="sqlite"),
        pytest.param(b"a.wav,A\nb.wav,B\n", "It has no header: write fname,labels above the first row", id="no-header"),
        pytest.param("fname,labels\na.wav,Müll\n".encode("cp850"), "'Müll' in cp850; save it as UTF-8", id="cp850"),
        pytest.param("fname,labels\na.wav,犬の声\n".encode("euc-jp"), "'犬の声' in euc-jp", id="euc-jp"),
        pytest.param(b"", "is empty: it needs a line that names its columns", id="empty"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(dataset: KaggleDataset, content: bytes, reason: str) -> None:
    dataset.labels_csv.write_bytes(content)
    with pytest.raises(BadInputError, match=reason):
        read_labels(dataset)


@pytest.mark.parametrize("text", ["file,tag\na.wav,A\nb.wav,B\n", "fname,labels\na.wav,A\nb.wav,B\na.wav,B\n"])
def test_the_command_that_a_refusal_names_reads_the_table(tmp_path: Path, text: str) -> None:
    dataset = KaggleDataset(tmp_path / "a set")
    dataset.clips_folder.mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (dataset.clips_folder / name).touch()
    dataset.labels_csv.write_text(text)
    with pytest.raises(BadInputError, match="fa-assets init") as caught:
        read_labels(dataset)
    command = next(line for line in str(caught.value).splitlines() if "fa-assets init" in line).partition("fa-assets ")[
        2
    ]
    assert fa_assets(*shlex.split(command), "--yes").exit_code == 0
    made = read_labels(KaggleDataset(Path(f"{dataset.root}_read")))
    assert dict(zip(made.fnames, made.labels, strict=True))["b.wav"] == ("B",)


def test_a_table_without_required_columns_names_its_uneven_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n4,5,6\n")
    table = read_table(tmp_path / "a.csv")
    assert table.rows == [["1", "2"]]
    assert table.uneven == ("row 2, '3': 1 cells", "row 3, '4': 3 cells")


@pytest.mark.promise("A table of an encoding that cannot be told is never read as odd class names unsaid.", "input")
@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *(("Сова", "windows-1251"), ("Уж", "windows-1251"), ("Σκύλος", "windows-1253"), ("犬", "shift_jis")),
        *(("鳥", "shift_jis"), ("狗", "gb18030"), ("雨声", "gb18030"), ("개", "euc-kr"), ("狗", "big5")),
        *(("Dzięcioł", "windows-1250"), ("Łoś", "windows-1250"), ("Grünspecht", "mac-roman"), ("Bœuf", "iso8859-15")),
    ],
)
def test_other_encodings_are_refused_with_how_they_read(dataset: KaggleDataset, name: str, encoding: str) -> None:
    dataset.labels_csv.write_bytes(f"fname,labels\na.wav,{name}\n".encode(encoding))
    with pytest.raises(
        BadInputError, match=f"which encoding it has cannot be told: .*{name!r} in {encoding}.*iconv -f"
    ):
        read_labels(dataset)


WESTERN = "Pöllö, créée, Coração, Cooper’s Hawk, l’été, 5°C, m², ¿Qué?, «Oiseau», ½ Note, 1º lugar, 20 µm"


@pytest.mark.parametrize("name", WESTERN.split(", "))
def test_western_names_are_read_as_windows_1252(dataset: KaggleDataset, name: str) -> None:
    dataset.labels_csv.write_bytes(f"fname,labels\na.wav,{name}\n".encode("cp1252"))
    assert read_labels(dataset).labels == ((name,),)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *(("Jeřáb", "windows-1250"), ("Ağaç", "windows-1254"), ("İnek", "windows-1254"), ("Müll", "mac-roman")),
        *(("Я", "windows-1251"), ("猫", "shift_jis"), ("새", "euc-kr"), ("貓", "big5")),
    ],
)
def test_names_that_may_be_western_are_read_with_a_line_that_says_what_else_they_may_be(
    dataset: KaggleDataset, name: str, encoding: str
) -> None:
    dataset.labels_csv.write_bytes(f"fname,labels\na.wav,{name}\nb.wav,Dog\n".encode(encoding))
    clips = read_labels(dataset)
    assert clips.labels[0] == (name.encode(encoding).decode("cp1252"),)
    assert f"{name!r} in {encoding}" in clips.notes[0]


def test_labels_in_json_are_whole_names_and_what_is_not_there_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "metadata.jsonl"
    path.write_text('{"fname": "a", "labels": ["Male speech, man", "Dog"], "n": 1.5}\n{"fname": "b", "labels": null}\n')
    table = read_table(path)
    assert table.header == ["fname", "labels", "n"]
    assert table.rows == [["a", '["Male speech, man", "Dog"]', "1.5"], ["b", "", ""]]
    assert split_labels(table.column("labels"))[0][0] == ("Male speech, man", "Dog")


def test_a_comment_that_names_the_columns_is_their_header(tmp_path: Path) -> None:
    """As in the tables of AudioSet."""
    (tmp_path / "a.csv").write_text(
        '# made in 2017\n# YTID, start_seconds, positive_labels\nab, 30.0, "/m/09x0r,/m/02p0sh1"\n'
    )
    table = read_table(tmp_path / "a.csv")
    assert table.header == ["YTID", "start_seconds", "positive_labels"]
    assert table.rows == [["ab", "30.0", "/m/09x0r,/m/02p0sh1"]]
    for comment in ("# made in 2017", "# by Ada, with care"):
        (tmp_path / "b.csv").write_text(f"{comment}\nfname,labels\na.wav,Dog\n")
        assert read_table(tmp_path / "b.csv").header == ["fname", "labels"]


@pytest.mark.parametrize(
    "text",
    [
        "# Labels\n\n| fname | labels |\n|---|---|\n| a.wav | Müll |\n| b.wav | Rain |\n",
        "By hand\n\n|fname|labels|\n|---|---|\n|a.wav|Müll|\n|b.wav|Rain|\n|---|---|\n",
        "fname | labels\n:--- | ---:\na.wav | Müll\nb.wav | Rain\n",
        "| fname | labels |\n|---|---|\n| a.wav | Müll |\n| b.wav | Rain\\|Dog |\n",
        "| `fname` | labels |\n|---|---|\n| `a.wav` | **Müll** |\n| b.wav | *Rain* |\n",
        "+---+---+\n| fname | labels |\n+===+===+\n| a.wav | Müll |\n+---+---+\n| b.wav | Rain |\n+---+---+\n",
        "fname | labels \n-------+------\n a.wav | Müll\n b.wav | Rain\n",
        "┌───┬───┐\n│ fname │ labels │\n├───┼───┤\n│ a.wav │ Müll │\n│ b.wav │ Rain │\n└───┴───┘\n",
    ],
)
def test_tables_in_markdown_and_drawn_ones(dataset: KaggleDataset, text: str) -> None:
    dataset.labels_csv.write_text(text, encoding="utf-8")
    labels = read_labels(dataset)
    second = ("Rain", "Dog") if "Dog" in text else ("Rain",)
    assert (tuple(labels.fnames), tuple(labels.labels)) == (("a.wav", "b.wav"), (("Müll",), second))
