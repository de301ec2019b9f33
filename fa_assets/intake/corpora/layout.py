"""A corpus's tables written as the Kaggle layout that `fa_assets.intake.kaggle` reads."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from fa_assets.errors import BadInputError
from fa_assets.intake.corpora.interface import Corpus, LabelledClip, Layout
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.intake.labels import join_labels
from fa_assets.store.atomic import replacing
from fa_assets.store.source_files import is_file, read_description

_SOURCE = "SOURCE.txt"


def write_layout(folder: Path, layout: Layout) -> None:
    """Write train_curated.csv, sample_submission.csv and, where there are any, train_curated_folds.csv and test.csv.

    Raises:
        BadInputError: labels that are not classes; all are named.
    """
    known = set(layout.classes)
    clips = [*layout.clips, *layout.test]
    offenders = [f"{clip.fname}: {label!r}" for clip in clips for label in clip.labels if label not in known]
    if offenders:
        raise BadInputError(f"{folder}: labels that are not classes.", offenders)
    dataset = KaggleDataset(folder)
    _write(dataset.labels_csv, ("fname", "labels"), map(_row, layout.clips))
    zeros = ("0",) * len(layout.classes)
    _write(dataset.sample_submission_csv, ("fname", *layout.classes), ((clip.fname, *zeros) for clip in layout.test))
    if layout.test:
        usage = any(clip.usage for clip in layout.test)
        columns = ("fname", "labels", "usage") if usage else ("fname", "labels")
        _write(dataset.test_csv, columns, ((*_row(clip), clip.usage) if usage else _row(clip) for clip in layout.test))
    if layout.folds is not None:
        folded = zip(layout.clips, layout.folds, strict=True)
        _write(dataset.folds_csv, ("fname", "labels", "fold"), ((*_row(clip), str(fold)) for clip, fold in folded))


def write_source(folder: Path, corpus: Corpus) -> None:
    """Write SOURCE.txt: where the data came from, under which licence, and what to cite."""
    with replacing(folder / _SOURCE) as temporary:
        temporary.write_text(f"{about(corpus)}\nFetched and laid out by fa_assets; the clips are unchanged.\n")


def read_source(folder: Path) -> str | None:
    """The corpus that SOURCE.txt names: its first line, up to the first comma; None without such a file."""
    path = folder / _SOURCE
    if not is_file(path):
        return None
    first, *_ = read_description(path).decode(errors="replace").partition("\n")
    return first.partition(",")[0].strip() or None


def about(corpus: Corpus) -> str:
    """Name, page, licence and citation, a line each."""
    return f"{corpus.title}, {corpus.page}\nLicence: {corpus.licence}.\nCite: {corpus.citation}.\n"


def _row(clip: LabelledClip) -> tuple[str, str]:
    return clip.fname, join_labels(clip.labels)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
