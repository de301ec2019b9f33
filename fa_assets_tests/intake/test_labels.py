"""From cells to labels, and the names of classes that look like mistakes."""

from pathlib import Path

import pytest

from fa_assets.errors import BadInputError
from fa_assets.intake.class_names import doubtful_names
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_labels
from fa_assets.intake.labels import join_labels, split_labels

SPEECH = "Male speech, man speaking"


@pytest.mark.parametrize(
    ("cells", "labels", "noted"),
    [
        pytest.param(
            ["Rain,Bell", "Kick;Rain", " Bell "], [("Rain", "Bell"), ("Kick", "Rain"), ("Bell",)], "", id="plain"
        ),
        pytest.param(["", "Rain,", "A/B"], [(), ("Rain", ""), ("A/B",)], "", id="nothing-is-guessed"),
        pytest.param(
            ["['Bird', 'Rain']", "[]", "['A']"], [("Bird", "Rain"), (), ("A",)], "lists in brackets", id="python"
        ),
        pytest.param(['["Bird", "R\\u00fc"]', '["it\'s"]'], [("Bird", "Rü"), ("it's",)], "lists", id="json"),
        pytest.param(["['Bird' 'Rain']", "['A'\n 'B']"], [("Bird", "Rain"), ("A", "B")], "lists", id="numpy"),
        pytest.param(["('Bird', 'Rain')", "{'A'}"], [("Bird", "Rain"), ("A",)], "lists", id="tuples-and-sets"),
        pytest.param(
            ["array(['Bird', 'Rain'], dtype=object)", "frozenset({'A'})", "np.array(['A'], dtype='<U4')"],
            [("Bird", "Rain"), ("A",), ("A",)],
            "lists",
            id="as-python-shows-them",
        ),
        pytest.param(["[Bird, Rain]", "[A]"], [("Bird", "Rain"), ("A",)], "lists", id="brackets-around-all"),
        pytest.param(["[noise]", "A"], [("[noise]",), ("A",)], "", id="brackets-of-a-name"),
        pytest.param([f"['{SPEECH}', 'A']", "B"], [(SPEECH, "A"), ("B",)], "lists", id="a-list-and-plain"),
        pytest.param(["Bird|Rain", "A|B,C"], [("Bird", "Rain"), ("A", "B", "C")], "separated by '|'", id="bars"),
        pytest.param(["Bird\uff0cRain", "A\u3001B\uff1bC"], [("Bird", "Rain"), ("A", "B", "C")], "'\uff0c'", id="wide"),
        pytest.param(["Bird\nRain", "A"], [("Bird", "Rain"), ("A",)], "separated by '\\n'", id="lines"),
        pytest.param(["Bird:Rain", "Bird", "Rain"], [("Bird", "Rain"), ("Bird",), ("Rain",)], "':'", id="colons"),
        pytest.param(["Bird#Rain", "Rain,Bird"], [("Bird", "Rain"), ("Rain", "Bird")], "'#'", id="hashes"),
        pytest.param(["C#", "C", "bird:song", "song"], [("C#",), ("C",), ("bird:song",), ("song",)], "", id="no-list"),
        pytest.param([f'"{SPEECH}",A', 'B,"say ""hi"""'], [(SPEECH, "A"), ("B", 'say "hi"')], "quotes", id="protected"),
        pytest.param(['7" single', '5", x'], [('7" single',), ('5"', "x")], "", id="inches"),
        pytest.param(['"A|B"', "C"], [("A|B",), ("C",)], "quotes", id="a-protected-bar"),
        pytest.param(["[np.str_('A'), np.str_('B')]", "[np.str_('C')]"], [("A", "B"), ("C",)], "lists", id="numpy-2"),
        pytest.param(["{A,B}", "{C}"], [("A", "B"), ("C",)], "lists", id="postgres"),
        pytest.param(
            ['c("A", "B")', "set()", "['A', None]"], [("A", "B"), (), ("A",)], "lists", id="r-none-and-nothing"
        ),
        pytest.param(["[1 4]", "[0]"], [("1", "4"), ("0",)], "lists", id="numbers-of-numpy"),
        pytest.param(
            ['[{"start": 0, "end": 1, "labels": ["A"]}, {"labels": ["B", "A"]}]', '{"choices": ["A"]}'],
            [("A", "B"), ("A",)],
            "lists",
            id="label-studio",
        ),
        pytest.param(["R&amp;B,A", "B"], [("R&B", "A"), ("B",)], "signs of web pages", id="html"),
        pytest.param(["A\u060c B", "C"], [("A", "B"), ("C",)], "'\u060c'", id="arabic"),
    ],
)
def test_cells_become_labels_and_what_is_not_plain_is_said(
    cells: list[str], labels: list[tuple[str, ...]], noted: str
) -> None:
    found, notes = split_labels(cells)
    assert found == labels
    assert (noted in " ".join(notes)) if noted else not notes


@pytest.mark.parametrize(
    "cell",
    [
        "{'A': 1, 'B': 0}",
        '{"A": true}',
        "Counter({'A': 3})",
        "[('A', 0.9), ('B', 0.1)]",
        "[['A', 'B']]",
        "[{'name': 'A'}]",
        "['A' 'B' ... 'Y' 'Z']",
        "{A: 0.9}",
    ],
)
def test_cells_that_hold_more_than_names_or_not_all_are_refused(cell: str) -> None:
    with pytest.raises(
        BadInputError, match="1 cells of labels hold more than a list of names, .* write the names alone"
    ):
        split_labels(["A", cell])


@pytest.mark.parametrize("separator", [";", "|", " + ", "/"])
def test_a_separator_that_is_set_is_the_only_one(separator: str) -> None:
    found, notes = split_labels([separator.join([SPEECH, "['x']"]), "B"], separator=separator)
    assert (found, notes) == ([(SPEECH, "['x']"), ("B",)], [])


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        (SPEECH, (SPEECH,)),
        (f"{SPEECH},Dog", (SPEECH, "Dog")),
        (f"Dog; {SPEECH} ;Cat", ("Dog", SPEECH, "Cat")),
        (f"{SPEECH}s", ("Male speech", "man speakings")),
        ("Male speech,Dog", ("Male speech", "Dog")),
        ("A, B, C,A, B", ("A, B, C", "A, B")),
        ("x|y,Dog|Cat", ("x|y", "Dog", "Cat")),
    ],
)
def test_known_names_are_matched_whole_first(cell: str, labels: tuple[str, ...]) -> None:
    assert split_labels([cell], names={SPEECH, "A, B, C", "A, B", "Dog", "x|y"})[0] == [labels]


@pytest.mark.parametrize(
    "labels",
    [
        ("A",),
        ("A", "B"),
        (SPEECH, "B"),
        ('say "hi"', "a;b"),
        ("A|B",),
        ("['A']",),
        ("[A]",),
        ("a:b", "a", "b"),
        ("{'a': 1}",),
    ],
)
def test_a_cell_that_was_written_is_read_as_the_same_labels(labels: tuple[str, ...]) -> None:
    assert split_labels([join_labels(labels)])[0] == [labels]


@pytest.mark.parametrize("file", ["sample_submission.csv", "classes.txt"])
def test_names_come_from_the_classes_of_the_dataset(tmp_path: Path, file: str) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text(f'fname,labels\na.wav,"{SPEECH}"\nb.wav,Dog\n')
    assert read_classes(dataset, read_labels(dataset)) == ("Dog", "Male speech", "man speaking")
    (tmp_path / file).write_text(f'fname,"{SPEECH}",Dog\n' if file.endswith("csv") else f"\ufeff{SPEECH}\n\nDog\n")
    labelled = read_labels(dataset)
    assert set(read_classes(dataset, labelled)) == {"Dog", SPEECH}
    assert SPEECH in " ".join(labelled.notes)


def test_labels_that_classes_txt_lacks_and_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.classes_txt.write_text(f"{SPEECH}\nDog\n")
    rows = 'a.wav,"Male Speech, man speaking",x,0,Cat\nb.wav,Dog,y,1,\n'
    dataset.labels_csv.write_text(f"fname,labels,Group,onset,\n{rows}")
    notes = read_labels(dataset).notes
    assert "train_curated.csv: labels that are not in classes.txt: 'Male Speech', 'man speaking'" in notes
    assert any("columns that are not used: 'Group', 'onset', 'column 5'" in note for note in notes)


@pytest.mark.parametrize(
    "one", ["1", "1.0", '"1,0"', "True", "yes", "x", "Y", "+", "WAHR", "Oui", "✓", "1.00", "１", "○", "はい", "✅"]
)
def test_a_column_for_each_class(tmp_path: Path, one: str) -> None:
    dataset = KaggleDataset(tmp_path)
    zero = {"1": "0", "1.0": "", '"1,0"': '"0,0"', "True": "False", "yes": "no", "x": "", "Y": "N", "+": "-"}.get(one)
    zero = zero or {
        "WAHR": "FALSCH",
        "Oui": "Non",
        "1.00": "0",
        "１": "０",
        "○": "×",
        "はい": "いいえ",
        "✅": "❌",
    }.get(one, "")
    dataset.labels_csv.write_text(
        f"fname,group,Dog,Cat,Cow,seconds,start_time\na.wav,g,{one},{one},{zero},0.5,0\nb.wav,g,{zero},{one},{zero},2,3\n"
    )
    clips = read_labels(dataset)
    assert clips.labels == (("Dog", "Cat"), ("Cat",))
    assert clips.groups == ("g", "g")
    assert all(name in " ".join(clips.notes) for name in ("'seconds'", "'Cow'", "'start_time'"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.wav,0.9,0.1\nb.wav,0.2,0.75\n", "'Dog', 'Cat' hold 0.1, 0.2, 0.75, 0.9, .* shares or probabilities"),
        ('a.wav,"0,9","0,1"\nb.wav,"0,2","0,8"\n', "'Dog', 'Cat' hold 0.1, 0.2, .* shares or probabilities"),
        ("a.wav,1,0\nb.wav,0,0.5\n", "'Cat' hold 0, 0.5, .* shares or probabilities"),
        ("a.wav,1,-1\nb.wav,-1,1\n", "'Dog', 'Cat' hold -1, 1, .* -1 beside .* leave out clips of which nobody knows"),
        ("a.wav,1,0\nb.wav,-1,1\n", "'Dog' hold -1, 1, .* -1 beside"),
        ("a.wav,3,0\nb.wav,0,12\n", "'Dog', 'Cat' hold 0, 3, 12, .* counts"),
        ("a.wav,1,0\nb.wav,0,nan\n", "'Cat' hold 0, .* nan beside .* of which nobody knows"),
        ("a.wav,1,0\nb.wav,0,2\n", "'Cat' hold 0, 2, .* counts"),
    ],
)
def test_numbers_that_are_no_yes_or_no_are_named_with_the_way_out(tmp_path: Path, rows: str, said: str) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text(f"fname,Dog,Cat\n{rows}")
    with pytest.raises(BadInputError, match=said) as error:
        read_labels(dataset)
    assert "a column 'labels'" in str(error.value)


@pytest.mark.parametrize("name", ["Bird", "label"])
def test_one_column_of_yes_and_no_does_not_say_what_the_others_are(tmp_path: Path, name: str) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text(f"fname,{name}\na.wav,1\nb.wav,0\n")
    with pytest.raises(BadInputError, match=f"one column of 0 and 1, '{name}', .* 'fname,Bird,no Bird'"):
        read_labels(dataset)


def test_signs_in_one_of_several_columns_of_words_are_no_class(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,label_a,label_b\na.wav,Dog,x\nb.wav,Cat,x\n")
    with pytest.raises(
        BadInputError, match="no column labels; .* one for each class holds 1 or 0; or see what this makes"
    ):
        read_labels(dataset)


def test_columns_of_yes_and_no_are_classes_whatever_they_are_called(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,class_1,class_2\na.wav,1,0\nb.wav,1,1\n")
    assert read_labels(dataset).labels == (("class_1",), ("class_1", "class_2"))


def test_a_class_column_that_is_empty_throughout_is_called_so(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,Dog,Cat,Cow,seconds\na.wav,1,0,,2\nb.wav,0,1, ,3\n")
    clips = read_labels(dataset)
    assert clips.labels == (("Dog",), ("Cat",))
    said = [note.partition(", by their names")[0] for note in clips.notes]
    assert "train_curated.csv: columns without any 1 are not classes: 'Cow'" in said
    assert any(note.endswith("0 and 1: 'seconds'") for note in clips.notes)


def test_flags_beside_a_column_of_labels_are_no_classes(tmp_path: Path) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text("fname,label,male,female\na.wav,Dog,1,0\nb.wav,Cat,0,1\n")
    with pytest.raises(BadInputError, match="no column labels; .* Rename 'label' to 'labels'"):
        read_labels(dataset)


@pytest.mark.parametrize(
    ("header", "labels", "said"),
    [
        ("fname,label1,label2", ("Dog", "Cat"), "'label1', 'label2' together"),
        ("fname,labels,labels.1", ("Dog",), "not of 'labels.1'"),
        ("fname,labels,Labels", ("Dog",), "not of 'Labels'"),
    ],
)
def test_several_columns_of_labels(tmp_path: Path, header: str, labels: tuple[str, ...], said: str) -> None:
    dataset = KaggleDataset(tmp_path)
    dataset.labels_csv.write_text(f"{header}\na.wav,Dog,Cat\n")
    clips = read_labels(dataset)
    assert clips.labels == (labels,)
    assert said in " ".join(clips.notes)


@pytest.mark.parametrize(
    ("labels", "names", "what"),
    [
        ([["Dog"], ["dog"], ["DOG"]], "'DOG', 'Dog', 'dog'", "differ by case"),
        ([["M\u00fccke"], ["Mu\u0308cke"]], "'Mu\\u0308cke', 'M\\xfccke'", "Unicode form"),
        ([["Dog bark"], ["Dog\u00a0bark"]], "'Dog bark', 'Dog\\xa0bark'", "blanks"),
        ([["Dog_bark"], ["Dog bark"]], "'Dog bark', 'Dog_bark'", "blanks"),
        ([["Dog\u200b"], ["Cat"]], "'Dog\\u200b'", "cannot be seen"),
        ([["Male speech", "man speaking"]] * 2, "'Male speech', 'man speaking'", "classes.txt"),
        ([["Inside", "small room"]] * 2 + [["Inside", "large hall"]], "'Inside', 'small room'", "classes.txt"),
        ([["Dog"], ["Cat"], ["Cow"], ["Dog_Cat_Cow"]], "'Dog_Cat_Cow'", "made of 'Dog', 'Cat', 'Cow'"),
        ([["Dog"], ["Dog_bark"], ["bark_Dog"], ["Dog-like"]], None, ""),
        ([["Animal", "dog"]] * 2 + [["Animal"]], None, ""),
        (
            [["Male speech", "man speaking"], ["Dog"]],
            "'Male speech', 'man speaking'",
            "'Male speech, man speaking' into",
        ),
        ([["Horn", "car horn", "honking"], ["Dog"]], "'Horn', 'car horn', 'honking'", "'Horn, car horn, honking' into"),
        ([["a", "b"], ["b", "a"], ["Dog", "Cat"]], None, ""),
        ([["Dog"], ["Cat"], ["Dog + Cat"]], "'Dog + Cat'", "FA_LABEL_SEPARATOR"),
        *(
            ([["Dog"], ["Cat"], [f"Dog{by}Cat"]], repr(f"Dog{by}Cat"), f"FA_LABEL_SEPARATOR to '{by}'")
            for by in (*"+/&\\:# ,~_•@", "&&", " - ", " und ", "<br>", "::", r"\n", r"\t")
        ),
        ([["Bird/Rain"], ["Rain/Dog"], ["Dog/Bird"]], "'Bird/Rain'", "FA_LABEL_SEPARATOR to '/'"),
        ([["Bird Rain"], ["Rain Dog"], ["Dog Bird"]], "'Bird Rain'", "FA_LABEL_SEPARATOR to ' '"),
        ([["Bird:Rain"], ["Dog"]], "'Bird:Rain'", "FA_LABEL_SEPARATOR to ':'"),
        ([["Acoustic guitar"], ["Electric guitar"], ["Acoustic piano"], ["Electric piano"], ["C#"], ["Db"]], None, ""),
        *(
            ([[name], ["Dog"]], repr(name), "missing label")
            for name in ("nan", "None", "?", "unknown", "N/A", "NULL", "#REF!")
        ),
        ([['{"Dog": 1'], ["Cat"]], "'{\"Dog\": 1'", "of a program"),
        ([["\u201cDog\u201d"], ["Cat"]], "'\u201cDog\u201d'", "of a program"),
        ([["Bird &amp", "Dog"], ["Rain"]], "'Bird &amp'", "of a program"),
        ([["0 1 0"], ["1 0 0"]], "'0 1 0'", "a row of a table of 0 and 1"),
        ([["Dog"], ["\uff24og"]], "'Dog', '\uff24og'", "Unicode form"),
        ([["dog-bark"], ["dog_bark"], ["Dog bark."]], "'Dog bark.', 'dog-bark', 'dog_bark'", "hyphens, dots"),
        ([["b'Dog'"], ["Cat"]], "\"b'Dog'\"", "of a program"),
        ([["{'label': 'Dog'}"], ["Cat"]], "\"{'label': 'Dog'}\"", "of a program"),
        ([["MÃ¼ll"], ["Cat"]], "'MÃ¼ll'", "UTF-8 that was read as another"),
        ([["M+APw-ll"], ["Cat"]], "'M+APw-ll'", "UTF-8 that was read as another"),
        ([["a+b-c"], ["Dog\u2028"]], "'Dog\\u2028'", "cannot be seen"),
        ([["Caf\ufffd"], ["Cat"]], "'Caf\ufffd'", "UTF-8 that was read as another"),
        ([["Café"], ["Müll"], ["鳥"]], None, ""),
        ([["è"], ["Dog"]], "'è'", "is '猫' in GBK"),
        ([["Dog:0.9"], ["Cat"]], "'Dog:0.9'", "ends with a number"),
        ([["Dog (90 %)"], ["Cat (x2)"]], "'Dog (90 %)'", "ends with a number"),
        ([["Dog"], ["Dog & Cat"]], "'Dog & Cat'", "FA_LABEL_SEPARATOR to '&'"),
        ([["Dоg"], ["Dog"]], "'Dog', 'Dоg'", "look the same"),
        ([["Ꭰog"], ["Cat"]], "'Ꭰog'", "several alphabets in one word: '\\u13a0og'"),
        ([["Tシャツ"], ["Собака"], ["Dog Собака"], ["µ"]], None, ""),
        ([["1"], ["01"], ["1.0"]], "'01', '1', '1.0'", "zeros of a number"),
        ([["Dog?"], ["Dog"], ["?!"]], "'Dog', 'Dog?'", "marks"),
        ([["0"], ["10"], ["1"]], None, ""),
        ([["1"], ["5"], ["1.5"]], None, ""),
        ([["C"], ["C#"], ["D"], ["D#"]], None, ""),
        (
            [["Bass guitar"], ["Electric guitar"], ["Electric piano"], ["Bass drum"], ["Hot dog"] * 9, ["A cat"]],
            None,
            "",
        ),
        ([["Cooper's"], ["Cooper’s"]], "\"Cooper's\", 'Cooper’s'", "look the same"),
        ([["A\u200f"], ["A"]], "'A', 'A\\u200f'", "cannot be seen"),
        ([["Dog", "Cat"], ["Dog", "Cat"], ["Cat"]], None, ""),
        ([["Dog"], ["Hot dog"], ["Dog_and_cat"], ["x/y"], ["Straße"], ["Strasse 2"], ['7" (x)'], ["it's"]], None, ""),
    ],
)
def test_names_that_look_like_mistakes_are_named(labels: list[list[str]], names: str | None, what: str) -> None:
    found = dict(doubtful_names(labels))
    assert (names in found and what in found[names]) if names else not found
