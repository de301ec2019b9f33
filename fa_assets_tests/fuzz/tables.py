"""Mutated tables, CSV and JSON. Every case is the tables of a dataset folder: labels, and often classes and folds.

The clips that the valid tables name are there; so are traps (`plant_traps`): sounds outside the folder of clips, and links
inside that lead to them. What is done to the tables: encodings, quotes, byte order marks, NUL, huge fields, columns missing
or doubled, other separators, rows cut or doubled, and names that try to get out of the folder.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from fa_assets_tests.fuzz.sounds import Rng

CLIPS = tuple(f"{index:02}.wav" for index in range(10))
LABELS, CLASSES, FOLDS = "train_curated.csv", "sample_submission.csv", "train_curated_folds.csv"

_LABELS = [
    f'{name},"{"Bark,Rain" if index % 3 == 0 else ("Bark", "Rain")[index % 2]}"' for index, name in enumerate(CLIPS)
]
VALID = {
    LABELS: "\n".join(["fname,labels", *_LABELS]) + "\n",
    CLASSES: "fname,Bark,Rain\nx.wav,0,0\n",
    FOLDS: "\n".join(["fname,labels,fold", *(f"{row},{index % 5}" for index, row in enumerate(_LABELS))]) + "\n",
}

_ROWS = [{"fname": name, "labels": row.split('"')[1].split(",")} for name, row in zip(CLIPS, _LABELS, strict=True)]
JSON = (
    json.dumps(_ROWS),
    "\n".join(map(json.dumps, _ROWS)),
    json.dumps({row["fname"]: row["labels"] for row in _ROWS}),
    json.dumps(
        {name: {str(index): row[name] for index, row in enumerate(_ROWS)} for name in ("fname", "labels")}, indent=1
    ),
)
"""The labels as JSON: rows, lines, labels by clip, columns."""

ESCAPES = (
    "../outside.wav", "../../outside.wav", "/etc/passwd", "sub/../../outside.wav", "./../outside.wav", "..\\outside.wav",
    "sub\\..\\..\\outside.wav", "C:\\outside.wav", "C:outside.wav", "\\\\host\\share\\outside.wav", "//outside.wav", "..",
    ".", "./", "", " ", "~/outside.wav", "~root", "link.wav", "up/outside.wav", "up/train_curated/../outside.wav", "loop",
    "loop/x.wav", "chain.wav", "dangling.wav", "sub", "file:///etc/passwd", "%2e%2e/outside.wav", "．．/outside.wav",
    "00.wav/", "00.wav/..", "00.wav/../../outside.wav", "../train_curated/00.wav", "sub/../00.wav", "/dev/zero", "pipe",
    "/proc/self/environ", "x" * 300 + ".wav", "a/" * 3000 + "b.wav", "\u202egnp.wav", "a\nb.wav", "a\0b.wav", "\ufeff00.wav",
)  # fmt: skip
_ODD_TEXT = [
    "", " ", ",", ";", '"', '""', '"""', "'", "\\", "\t", "\r", "\n", "\0", "\x1a", "=1+1", "é", "犬", "\U0001f415", "nan",
    "NULL", "-1", "1e308", "0", "5", "9" * 40, "１", "²", "x" * 140_000, "Bark;;Rain", "Bark;Bark", "\ufeff",
]  # fmt: skip


def plant_traps(folder: Path) -> None:
    """Make the folder of clips (`train_curated`) with the clips that are named, and what must not be reached from it."""
    clips = folder / "train_curated"
    (clips / "sub").mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 800)
    for path in (*(clips / name for name in CLIPS), folder / "outside.wav", clips / "sub" / "00.wav"):
        soundfile.write(path, noise, 8_000)
    for name, target in {
        "link.wav": "../outside.wav",
        "chain.wav": "link.wav",
        "dangling.wav": "nowhere.wav",
        "up": "..",
        "loop": "loop",
    }.items():
        (clips / name).symlink_to(target)
    os.mkfifo(clips / "pipe")


def make_tables(seed: int, index: int) -> dict[str, bytes]:
    """The CSV files of one case, by name."""
    rng = np.random.default_rng([seed, index, 1])
    texts = {name: text for name, text in VALID.items() if name == LABELS or rng.random() < 0.6}
    if rng.random() < 0.2:
        texts[LABELS] = str(_pick(rng, JSON))
    target = LABELS if rng.random() < 0.6 else str(rng.choice(list(texts)))
    for _ in range(1 if rng.random() < 0.7 else 3):
        texts[target] = _MUTATIONS[rng.integers(len(_MUTATIONS))](texts[target], rng)
    contents = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
    if rng.random() < 0.3:
        contents[target] = _BYTE_MUTATIONS[rng.integers(len(_BYTE_MUTATIONS))](contents[target], rng)
    return contents


def _pick(rng: Rng, options):
    return options[rng.integers(len(options))]


def _place(text: str, rng: Rng) -> int:
    return int(rng.integers(0, len(text) + 1))


def _escape(text: str, rng: Rng) -> str:
    name = str(_pick(rng, ESCAPES))
    if rng.random() < 0.3:  # instead of a clip, everywhere
        return text.replace(str(_pick(rng, CLIPS)), name)
    quoted = '"' + name.replace('"', '""') + '"'
    return text + f"{quoted if rng.random() < 0.8 else name},Bark" + (",0\n" if "fold" in text else "\n")


def _insert(text: str, rng: Rng) -> str:
    at = _place(text, rng)
    return text[:at] + str(_pick(rng, _ODD_TEXT)) + text[at:]


def _odd_cell(text: str, rng: Rng) -> str:
    rows = [row.split(",") for row in text.splitlines()]
    row = _pick(rng, rows)
    row[rng.integers(len(row))] = str(_pick(rng, _ODD_TEXT))
    return "\n".join(",".join(row) for row in rows)


def _cut(text: str, rng: Rng) -> str:
    return text[: _place(text, rng)]


def _remove(text: str, rng: Rng) -> str:
    start, end = sorted((_place(text, rng), _place(text, rng)))
    return text[:start] + text[end:]


def _shuffle_rows(text: str, rng: Rng) -> str:
    rows = text.splitlines()
    return "\n".join(rows[index] for index in rng.integers(0, len(rows), len(rows)))


def _double_rows(text: str, rng: Rng) -> str:
    return text + "\n".join(text.splitlines()[1 : int(rng.integers(2, 6))]) + "\n"


def _columns(text: str, rng: Rng) -> str:
    header, _, rest = text.partition("\n")
    names = header.split(",")
    what = rng.integers(5)
    if what == 0:
        names.pop(int(rng.integers(len(names))))
    elif what == 1:
        names.append(str(_pick(rng, names)))
    elif what == 2:
        names.reverse()
    elif what == 3:
        names = [name.upper() for name in names]
    else:
        names = [f" {name} " for name in names]
    return ",".join(names) + "\n" + rest


def _separators(text: str, rng: Rng) -> str:
    return text.replace(",", str(_pick(rng, [";", "\t", "|", " ", ",,", ", ", "\0", "،"])))


def _line_ends(text: str, rng: Rng) -> str:
    return text.replace("\n", str(_pick(rng, ["\r", "\r\n", "\n\n", "\n\r", "\u2028", "\v", "", "\r\r\n"])))


def _quotes(text: str, rng: Rng) -> str:
    return text.replace('"', str(_pick(rng, ["'", "", '""', "“", '" ', '\\"'])))


def _list_cells(text: str, rng: Rng) -> str:
    """Labels as lists, as bars, or protected by quotes."""
    shape = str(
        _pick(rng, ["['{}', 'Rain']", "['{}' 'Rain']", '[""{}"", 1]', "[{};x]", "{}|Rain", '""{}, a""', "('{}',"])
    )
    return re.sub(r'"?(Bark|Rain)(,\w+)?"?', lambda found: '"' + shape.format(found[1]) + '"', text)


def _one_hot(text: str, rng: Rng) -> str:
    """A column for each class, in one spelling of yes and no."""
    one, zero = _pick(rng, [("1", "0"), ("1.0", ""), ("True", "False"), ("x", "0"), ("0.5", "0")])
    rows = [f"{name},{(one, zero)[n % 2]},{(zero, one)[n % 2]}" for n, name in enumerate(CLIPS)]
    return "\n".join(
        [str(_pick(rng, ["fname,Bark,Rain", "fname,Bark,Bark", "fname,Bark,Rain,", "x,Bark,Rain"])), *rows]
    )


def _other_names(text: str, rng: Rng) -> str:
    """Names that differ from the clips' by what programs change on the way."""
    change = _pick(rng, [(".wav", ".WAV"), (".wav", ""), ("0", "./0"), ("0", "train_curated\\0"), (".wav", ".wav ")])
    return text.replace(*change)


def _spaces(text: str, rng: Rng) -> str:
    blanks = ["", " ", "\t", "\xa0"]
    return "\n".join(str(_pick(rng, blanks)) + row + str(_pick(rng, blanks)) for row in text.splitlines())


def _many(text: str, rng: Rng) -> str:
    """Many rows, many columns or many labels."""
    what = rng.integers(3)
    if what == 0:
        return text + "".join(f"n{index}.wav,Bark\n" for index in range(int(rng.integers(1, 5_000))))
    if what == 1:
        return text.replace("\n", "," + ",".join(map(str, range(int(rng.integers(1, 3_000))))) + "\n", 1)
    return text + 'many.wav,"' + ",".join(f"L{index}" for index in range(int(rng.integers(1, 20_000)))) + '"\n'


def _encode(content: bytes, rng: Rng) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(
        str(_pick(rng, ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp037", "shift_jis"])), "replace"
    )


def _flip(content: bytes, rng: Rng) -> bytes:
    flipped = bytearray(content)
    for at in rng.integers(0, max(len(content), 1), rng.integers(1, 9)) if content else ():
        flipped[at] = rng.integers(256)
    return bytes(flipped)


def _bytes_inside(content: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(0, len(content) + 1))
    piece = _pick(
        rng, [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\0" * 9, b"\xef\xbb\xbf", b"PK\x03\x04", rng.bytes(300)]
    )
    return content[:at] + piece + content[at:]


def _other_file(content: bytes, rng: Rng) -> bytes:
    return _pick(
        rng, [b"", b"\n", b"\0", rng.bytes(500), b"<html></html>", b"{}", b"PK\x03\x04" + rng.bytes(99), b'"', b","]
    )


_MUTATIONS: tuple[Callable[[str, Rng], str], ...] = (
    _escape, _escape, _escape, _insert, _insert, _odd_cell, _odd_cell, _cut, _remove, _shuffle_rows, _double_rows, _columns,
    _separators, _line_ends, _quotes, _spaces, _many, _list_cells, _one_hot, _other_names,
)  # fmt: skip
_BYTE_MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (_encode, _flip, _bytes_inside, _other_file)
