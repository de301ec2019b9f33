"""A label CSV from what people have: class folders, or a CSV with other column names."""

from pathlib import Path

import pytest

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.annotations import Columns
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, read_labels
from fa_assets.intake.propose import propose
from fa_assets_tests.small_dataset import make_clip


def make_audio(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(folder / name, ("Tone",), index)


def test_class_folders(tmp_path) -> None:
    make_audio(tmp_path, "dog/1.wav", "dog/deep/2.flac", "cat/1.wav", "loose.wav", "test/9.wav", ".hidden/3.wav")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"cat/1.wav": ("cat",), "dog/1.wav": ("dog",), "dog/deep/2.flac": ("dog",)}
    assert proposal.counts == {"cat": 1, "dog": 2}
    assert proposal.unlabelled == ("loose.wav",)
    assert not (tmp_path / "train_curated.csv").exists() and not (tmp_path / "train_curated").exists()
    proposal.write()
    dataset = KaggleDataset(tmp_path)
    intake = inspect_clips(dataset.clips_folder, read_labels(dataset))
    assert [clip.fname for clip in intake.clips] == ["cat/1.wav", "dog/1.wav", "dog/deep/2.flac"]


def test_clips_that_lie_in_train_curated_already(tmp_path) -> None:
    make_audio(tmp_path / "train_curated", "a/1.wav", "b/2.wav")
    propose(tmp_path).write()
    assert not (tmp_path / "train_curated").is_symlink()
    assert len(inspect_clips(tmp_path / "train_curated", read_labels(KaggleDataset(tmp_path))).clips) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("filename,category,fold\n1.wav,dog,1\n2.wav,cat|rain,2\n9.wav,dog,3\n3.wav,,1\n", id="esc50-like"),
        pytest.param("id;Label;seconds\n1;dog;0.5\n2;cat,rain;0.5\n9;dog;2\n", id="stems-semicolons"),
        pytest.param("path\ttags\n/old/place/1.wav\tdog\nC:\\x\\2.wav\tcat; rain\nx/9.wav\tdog\n", id="paths-tabs"),
        pytest.param("file,start,species\n1.wav,0,dog\n2.wav,0,cat\n2.wav,3,rain\n9.wav,0,dog\n", id="a-row-per-event"),
        pytest.param("n,what,who\n1,dog,x1\n2,cat|rain,x2\n9,dog,x3\n8,dog,x4\n", id="unnamed"),
    ],
)
def test_a_csv_with_other_column_names(tmp_path, text: str) -> None:
    make_audio(tmp_path, "audio/1.wav", "audio/2.wav", "audio/3.wav")
    (tmp_path / "list.csv").write_text(text)
    proposal = propose(tmp_path)
    assert dict(proposal.rows) == {"audio/1.wav": ("dog",), "audio/2.wav": ("cat", "rain")}
    assert proposal.unlabelled == ("audio/3.wav",)
    assert any("9" in name for name in proposal.missing)
    assert "list.csv" in proposal.origin
    proposal.write()
    assert len(read_labels(KaggleDataset(tmp_path)).fnames) == 2


def test_columns_can_be_named(tmp_path) -> None:
    make_audio(tmp_path, "1.wav", "2.wav")
    (tmp_path / "a.csv").write_text("x,y,z\n1.wav,p,q\n2.wav,p,r\n")
    assert propose(tmp_path, table=tmp_path / "a.csv", columns=Columns(labels="z")).counts == {"q": 1, "r": 1}
    with pytest.raises(UserError, match="no column 'w'; it has x, y, z"):
        propose(tmp_path, table=tmp_path / "a.csv", columns=Columns(labels="w"))
    with pytest.raises(UserError, match="which column holds the labels"):
        (tmp_path / "a.csv").write_text("x,y,z\n1.wav,p1,q\n2.wav,p2,r\n")
        propose(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no audio"),
        (("1.wav",), "in no class folders"),
        (("audio/fold1/1.wav", "audio/fold2/2.wav"), "in no class folders"),
        (("20230512_063000.WAV",), "named by their time.*Raven selection tables or Audacity labels"),
        (("train_curated.csv",), "already"),
    ],
)
def test_what_cannot_be_proposed(tmp_path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises((UserError, BadInputError), match=message):
        propose(tmp_path)
