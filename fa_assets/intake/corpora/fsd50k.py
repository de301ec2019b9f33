"""FSD50K: 40,966 clips to develop on and 10,231 to evaluate on, 200 classes, several labels each.

Labels are propagated upwards in the AudioSet ontology, as published. Folds are not defined (dev.csv has one split into train
and val), so they are made; clips of one uploader may then lie in different folds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from fa_assets.intake.corpora.interface import Archive, Corpus, LabelledClip, Layout, read_table


class Fsd50k(Corpus):
    """The audio archives are split over several files, which are read as one."""

    name = "fsd50k"
    title = "FSD50K"
    page = "https://zenodo.org/records/4060432"
    licence = (
        "CC BY 4.0 as a whole; each clip has its own licence (CC0, CC-BY, CC-BY-NC or CC Sampling+), listed in "
        "meta/dev_clips_info_FSD50K.json and meta/eval_clips_info_FSD50K.json"
    )
    citation = (
        'E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra, "FSD50K: an Open Dataset of Human-Labeled Sound Events", '
        "IEEE/ACM TASLP 30, 2022"
    )
    zenodo_record = "4060432"
    part_of = ("Freesound",)
    needed = frozenset({"meta"})
    folders: ClassVar[Mapping[str, str]] = {
        "FSD50K.dev_audio": "train_curated",
        "FSD50K.eval_audio": "test",
        "FSD50K.ground_truth": "meta",
        "FSD50K.metadata": "meta",
        "FSD50K.doc": "doc",
    }
    archives = (
        Archive("meta", ("FSD50K.ground_truth.zip",)),
        Archive("meta", ("FSD50K.metadata.zip",)),
        Archive("meta", ("FSD50K.doc.zip",)),
        Archive("dev", (*(f"FSD50K.dev_audio.z{number:02}" for number in range(1, 6)), "FSD50K.dev_audio.zip")),
        Archive("eval", ("FSD50K.eval_audio.z01", "FSD50K.eval_audio.zip")),
    )

    def layout(self, folder: Path, parts: frozenset[str], *, kaggle_order: bool = True) -> Layout:
        """Classes as in vocabulary.csv; the test set is the evaluation set, when its clips are there."""
        meta = folder / "meta"
        vocabulary = read_table(meta / "vocabulary.csv", ("index", "label"), header=False)
        test = _clips(meta / "eval.csv", kaggle_order) if "eval" in parts else []
        return Layout(_clips(meta / "dev.csv", kaggle_order), [row["label"] for row in vocabulary], test=test)


def _clips(table: Path, kaggle_order: bool) -> list[LabelledClip]:
    rows = read_table(table, ("fname", "labels"))
    clips = [LabelledClip(f"{row['fname']}.wav", tuple(row["labels"].split(","))) for row in rows]
    return sorted(clips, key=lambda clip: clip.fname) if kaggle_order else clips
