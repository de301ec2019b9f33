"""Which corpus a folder holds, and whether an encoder has heard it."""

import os
from pathlib import Path

import pytest

from fa_assets.intake.corpora import ALL, heard_with
from fa_assets.intake.corpora.layout import read_source, write_source
from fa_assets.store.source_files import SourceFileError


@pytest.mark.parametrize("corpus", ALL.values(), ids=list(ALL))
def test_what_fetch_writes_names_the_corpus(tmp_path: Path, corpus) -> None:
    assert read_source(tmp_path) is None
    write_source(tmp_path, corpus)
    assert read_source(tmp_path) == corpus.title


@pytest.mark.parametrize(
    ("text", "name"), [("Our birds\r\n", "Our birds"), ("A, B\nC", "A"), ("", None), ("\nA", None)]
)
def test_a_file_of_ones_own_names_it_in_its_first_line(tmp_path: Path, text: str, name: str | None) -> None:
    (tmp_path / "SOURCE.txt").write_text(text)
    assert read_source(tmp_path) == name


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "SOURCE.txt")
    with pytest.raises(SourceFileError, match=r"SOURCE\.txt: not a file"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("corpus", "trained_on", "heard"),
    [
        ("FSDKaggle2019", ("AudioSet", "FSD50K"), ["FSD50K"]),
        ("FSDKaggle2019", ("freesound", "FSDkaggle2019"), ["freesound", "FSDkaggle2019"]),
        ("FSDKaggle2019", ("AudioSet",), []),
        ("ESC-50", ("Freesound",), ["Freesound"]),
        ("FSD50K", ("FSDKaggle2019", "ESC-50"), []),
        ("xeno-canto", ("Xeno-canto", "Macaulay Library"), ["Xeno-canto"]),
        ("Our birds", ("Xeno-canto", "Freesound"), []),
    ],
)
def test_an_encoder_has_heard_a_corpus_with_what_holds_it(
    corpus: str, trained_on: tuple[str, ...], heard: list[str]
) -> None:
    assert heard_with(corpus, trained_on) == heard
