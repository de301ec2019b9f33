"""ESC-50: 2000 clips of 5 s in 50 classes, one label each, in the five folds its author defined.

There is no test set: its results are cross-validated over those folds, which hold together what was cut from one recording.
"""

from pathlib import Path, PurePosixPath

from fa_assets.intake.corpora.interface import Archive, Corpus, LabelledClip, Layout, read_table


class Esc50(Corpus):
    """The archive of the repository's default branch; GitHub states neither its size nor a hash."""

    name = "esc50"
    title = "ESC-50"
    page = "https://github.com/karolpiczak/ESC-50"
    licence = "CC BY-NC 3.0; authors and licences of the clips are in meta/LICENSE"
    citation = 'K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015'
    archives = (Archive("all", ("ESC-50-master.zip",), url="https://github.com/karolpiczak/ESC-50/archive/master.zip"),)
    needed = frozenset({"all"})
    part_of = ("Freesound",)

    def place(self, member: str) -> str | None:
        """Clips into train_curated/, the table and the licence into meta/."""
        path = PurePosixPath(member)
        if path.parent.name == "audio" and path.suffix == ".wav":
            return f"train_curated/{path.name}"
        if (path.parent.name == "meta" and path.suffix == ".csv") or path.name == "LICENSE":
            return f"meta/{path.name}"
        return None

    def layout(self, folder: Path, parts: frozenset[str], *, kaggle_order: bool = True) -> Layout:
        """Classes in the order of their numbers; folds 1 to 5 become 0 to 4."""
        rows = read_table(folder / "meta" / "esc50.csv", ("filename", "fold", "target", "category"))
        if kaggle_order:
            rows = sorted(rows, key=lambda row: row["filename"])
        numbers = {row["category"]: int(row["target"]) for row in rows}
        return Layout(
            clips=[LabelledClip(row["filename"], (row["category"],)) for row in rows],
            classes=sorted(numbers, key=numbers.__getitem__),
            folds=[int(row["fold"]) - 1 for row in rows],
        )
