"""FSDKaggle2019: the data of Kaggle's "Freesound Audio Tagging 2019", with the test labels that came after it.

The post-competition CSVs hold the same clips and labels as Kaggle's, in another order of rows. Stratified folds depend on that
order, so by default the rows are sorted by fname, as Kaggle's are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from fa_assets.intake.corpora.interface import Archive, Corpus, LabelledClip, Layout, read_table


class FsdKaggle2019(Corpus):
    """4970 curated clips of 80 classes with several labels each, and 4481 test clips. The noisy clips are left out."""

    name = "fsdkaggle2019"
    title = "FSDKaggle2019"
    page = "https://zenodo.org/records/3612637"
    licence = (
        "CC BY 4.0 as a whole; each clip has its own licence (CC0, CC-BY, CC-BY-NC or CC Sampling+), listed in the "
        "column `license` of meta/train_curated_post_competition.csv and meta/test_post_competition.csv"
    )
    citation = (
        'E. Fonseca, M. Plakal, F. Font, D. P. W. Ellis, X. Serra, "Audio tagging with noisy labels and minimal '
        'supervision", DCASE 2019'
    )
    zenodo_record = "3612637"
    part_of = ("FSD50K", "Freesound")
    needed = frozenset({"meta"})
    folders: ClassVar[Mapping[str, str]] = {
        "FSDKaggle2019.audio_train_curated": "train_curated",
        "FSDKaggle2019.audio_test": "test",
        "FSDKaggle2019.meta": "meta",
        "FSDKaggle2019.doc": "doc",
    }
    archives = (
        Archive("meta", ("FSDKaggle2019.meta.zip",)),
        Archive("meta", ("FSDKaggle2019.doc.zip",)),
        Archive("curated", ("FSDKaggle2019.audio_train_curated.zip",)),
        Archive("test", ("FSDKaggle2019.audio_test.zip",)),
    )

    def layout(self, folder: Path, parts: frozenset[str], *, kaggle_order: bool = True) -> Layout:
        """Classes as in vocabulary.csv; folds are not defined; the test set when its clips are there."""
        vocabulary = read_table(folder / "meta" / "vocabulary.csv", ("index", "label"), header=False)
        clips = _clips(folder / "meta" / "train_curated_post_competition.csv", kaggle_order)
        test = (
            _clips(folder / "meta" / "test_post_competition.csv", kaggle_order, usage=True) if "test" in parts else []
        )
        return Layout(clips, [row["label"] for row in vocabulary], test=test)


def _clips(table: Path, kaggle_order: bool, *, usage: bool = False) -> list[LabelledClip]:
    columns = ("fname", "labels", "usage") if usage else ("fname", "labels")
    clips = [
        LabelledClip(row["fname"], tuple(row["labels"].split(",")), row["usage"] if usage else "")
        for row in read_table(table, columns)
    ]
    return sorted(clips, key=lambda clip: clip.fname) if kaggle_order else clips
