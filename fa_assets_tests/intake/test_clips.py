"""The intake of clips: good ones are described, bad ones refused or left out, every one by name."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fa_assets.audio.decode import ClipInfo, inspect_clip
from fa_assets.errors import BadInputError
from fa_assets.intake.clip_files import clip_paths
from fa_assets.intake.clips import folders_not_read, inspect_clips, unnamed_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips
from fa_assets.store.source_files import Limits


@pytest.fixture
def dataset(tmp_path: Path) -> KaggleDataset:
    folder = tmp_path / "train_curated"
    folder.mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4410).astype(np.float32)
    soundfile.write(folder / "good.wav", noise, 44100)
    soundfile.write(folder / "stereo.flac", np.stack([noise, noise], axis=1), 22050)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is not audio")
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan, 0.1], np.float32), 8000, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(4410), 44100)
    soundfile.write(folder / "out_of_phase.flac", np.stack([noise, -noise], axis=1), 44100)
    soundfile.write(folder / "flipped.wav", np.where(np.arange(4410) == 9, 1e30, noise), 44100, subtype="FLOAT")
    soundfile.write(folder / "short.wav", noise, 44100)
    (folder / "short.wav").write_bytes((folder / "short.wav").read_bytes()[:2000])
    outside = tmp_path / "outside.wav"
    soundfile.write(outside, noise, 44100)
    (folder / "link.wav").symlink_to(outside)
    (folder / "gone.wav").symlink_to("../.git/annex/objects/1/gone.wav")
    return KaggleDataset(tmp_path)


def labelled(*fnames: str) -> LabelledClips:
    return LabelledClips(fnames, tuple(("Rain",) for _ in fnames))


NO_LINKS = Limits(follow_links=False)
BAD = ("empty.wav", "text.wav", "nan.wav", "short.wav", "gone.wav", "missing.wav",
       "silent.wav", "out_of_phase.flac", "flipped.wav")  # fmt: skip


def test_good_clips_are_described_in_order(dataset: KaggleDataset) -> None:
    intake = inspect_clips(dataset.clips_folder, labelled("stereo.flac", "good.wav"))
    assert [clip.fname for clip in intake.clips] == ["stereo.flac", "good.wav"]
    assert [(c.info.sample_rate, c.info.channels, c.info.frames) for c in intake.clips] == [
        (22050, 2, 4410),
        (44100, 1, 4410),
    ]
    assert intake.bad == ()


@pytest.mark.promise("Bad clips are all named at once.", "input", "9 of 10 clips")
def test_every_bad_clip_is_named_at_once(dataset: KaggleDataset) -> None:
    with pytest.raises(BadInputError, match="9 of 10 clips.*FA_ON_BAD_CLIP=skip") as caught:
        inspect_clips(dataset.clips_folder, labelled("good.wav", *BAD))
    assert [line.split(":")[0] for line in caught.value.offenders] == [repr(name) for name in BAD]


def test_skip_leaves_bad_clips_out_and_lists_them(dataset: KaggleDataset) -> None:
    intake = inspect_clips(dataset.clips_folder, labelled(*BAD, "good.wav"), on_bad_clip="skip")
    assert [clip.fname for clip in intake.clips] == ["good.wav"]
    assert [clip.fname for clip in intake.bad] == list(BAD)
    assert all(clip.reason for clip in intake.bad)


def test_skip_with_nothing_left_is_an_error(dataset: KaggleDataset) -> None:
    with pytest.raises(BadInputError, match="No clip"):
        inspect_clips(dataset.clips_folder, labelled(*BAD), on_bad_clip="skip")


OUT = "a link that leads out of the folder of clips; FA_LINKS=follow reads what it leads to"
HARD_CASES = {
    "link.wav": OUT,
    "chain.wav": OUT,  # a link to a link
    "up/outside.wav": OUT,  # a folder that is a link
    "absolute/outside.wav": OUT,
    "up/train_curated/../outside.wav": OUT,
    "sub/dangling.wav": OUT,  # to what is not there
    "loop.wav": "a circular link",
    "loop.wav/x.wav": "a circular link",
    "x" * 300 + ".wav": "cannot be read: File name too long",
    "good.wav/x.wav": "no such file",
    "sub": "not a file",
    "..\\outside.wav": "no such file",  # a plain name here
}


def plant_links(dataset: KaggleDataset) -> None:
    clips = dataset.clips_folder
    (clips / "sub").mkdir()
    (clips / "chain.wav").symlink_to("link.wav")
    (clips / "up").symlink_to("..")
    (clips / "absolute").symlink_to(dataset.root.absolute())
    (clips / "sub" / "dangling.wav").symlink_to("../../nowhere.wav")
    (clips / "loop.wav").symlink_to("loop.wav")
    (clips / "sub" / "inner.wav").symlink_to("../good.wav")
    (clips / "also").symlink_to("sub")


@pytest.mark.promise(
    "Clips that are links to elsewhere (DVC, git-annex, Hugging Face's cache) are read; a link to what is not there is named, "
    "with the command that fetches it.",
    "input",
)
@pytest.mark.parametrize(
    ("target", "fetch"),
    [
        ("../.git/annex/objects/x/y", "datalad get"),
        ("../.dvc/cache/files/md5/12/3", "dvc pull"),
        ("../../blobs/1234", "hf download"),
        ("../nowhere.wav", None),
    ],
)
def test_links_are_followed(dataset: KaggleDataset, target: str, fetch: str | None) -> None:
    link = dataset.clips_folder / "elsewhere.wav"
    link.symlink_to(target)
    with pytest.raises(BadInputError) as caught:
        inspect_clips(dataset.clips_folder, labelled("elsewhere.wav"))
    (offender,) = caught.value.offenders
    assert offender.startswith("'elsewhere.wav': a link to what is not there")
    assert (
        (f" ({target}): fetch it with " in offender and f"`{fetch}" in offender)
        if fetch
        else offender.endswith(f"there ({target})")
    )
    file = dataset.clips_folder / target
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((dataset.clips_folder / "good.wav").read_bytes())
    good, linked = inspect_clips(dataset.clips_folder, labelled("good.wav", "elsewhere.wav")).clips
    assert linked.info == good.info
    assert clip_paths(dataset.clips_folder, ["elsewhere.wav"]) == [dataset.clips_folder.resolve() / "elsewhere.wav"]


@pytest.mark.promise(
    "With FA_LINKS=refuse no link leads out of the folder of clips when clips are inspected, hashed or embedded, "
    "not even one that came after the intake.",
    "input",
    "6 ways out",
)
def test_no_link_leads_out_of_the_folder_of_clips(dataset: KaggleDataset) -> None:
    plant_links(dataset)
    intake = inspect_clips(
        dataset.clips_folder,
        labelled(*HARD_CASES, "also/inner.wav", "sub/inner.wav"),
        on_bad_clip="skip",
        limits=NO_LINKS,
    )
    assert {clip.fname: clip.reason for clip in intake.bad} == HARD_CASES
    assert [clip.fname for clip in intake.clips] == ["also/inner.wav", "sub/inner.wav"]


@pytest.mark.promise(
    "With FA_LINKS=refuse no link leads out of the folder of clips when clips are inspected, hashed or embedded, "
    "not even one that came after the intake.",
    "input",
)
def test_a_link_that_came_after_the_intake_is_not_followed_either(dataset: KaggleDataset) -> None:
    plant_links(dataset)
    with pytest.raises(BadInputError, match="cannot be read") as caught:
        clip_paths(dataset.clips_folder, ["good.wav", "link.wav", "up/outside.wav", "loop.wav"], NO_LINKS)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["link.wav", "up/outside.wav", "loop.wav"]


@pytest.mark.promise(
    "The dataset folder and `train_curated` itself may be links: who makes a dataset puts them there.", "input"
)
def test_the_dataset_folder_and_the_folder_of_clips_may_be_links(dataset: KaggleDataset, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "train_curated").symlink_to(dataset.clips_folder)
    (tmp_path / "root").symlink_to(elsewhere)
    linked = KaggleDataset(tmp_path / "root")
    assert [clip.fname for clip in inspect_clips(linked.clips_folder, labelled("good.wav")).clips] == ["good.wav"]
    with pytest.raises(BadInputError, match="leads out"):
        inspect_clips(linked.clips_folder, labelled("link.wav", "good.wav"), limits=NO_LINKS)


def test_clips_without_a_row_are_named_and_too_many_files_refused(dataset: KaggleDataset) -> None:
    named = labelled("good.wav")
    others = unnamed_clips(dataset, named)
    assert "good.wav" not in others and "silent.wav" in others
    with pytest.raises(BadInputError, match="more than 2 files and folders, the limit"):
        unnamed_clips(KaggleDataset(dataset.root, Limits(files=2)), named)


@pytest.mark.parametrize(
    ("place", "link"), [("a.wav", "."), ("audio/a.wav", "audio"), ("my clips/sub/a.wav", "'my clips/sub'")]
)
def test_a_missing_folder_of_clips_says_where_they_lie(tmp_path: Path, place: str, link: str) -> None:
    for one in (tmp_path / "A" / "a.wav", tmp_path / place, (tmp_path / place).with_name("b.wav")):
        one.parent.mkdir(parents=True, exist_ok=True)
        one.touch()
    folder, own = tmp_path / "train_curated", link.strip("'")
    with pytest.raises(BadInputError, match=re.escape(f" 2 of the 2 lie in {own!r}: `ln -s {link} {folder}`")):
        inspect_clips(folder, labelled("a.wav", "b.wav"))


@pytest.mark.promise(
    "A run that is stopped while it inspects clips does not wait for those that are left.",
    "stopped",
    "of 2,000 clips fewer than 1,000",
)
def test_an_interrupt_does_not_wait_for_the_clips_that_are_left(
    dataset: KaggleDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspected: list[Path] = []

    def inspect(path: Path, **options: bool) -> ClipInfo:
        inspected.append(path)
        time.sleep(0.01)
        return inspect_clip(path, **options)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fa_assets.intake.clips.inspect_clip", inspect)
    with pytest.raises(KeyboardInterrupt):
        inspect_clips(dataset.clips_folder, labelled(*["good.wav"] * 2_000), progress=interrupt)
    assert len(inspected) < 1_000


def test_folders_with_audio_that_nobody_reads_are_named(tmp_path: Path) -> None:
    for name in (
        "train_curated/a.wav",
        "test/b.wav",
        "eval/c.wav",
        "audio_test/x/d.wav",
        "docs/e.txt",
        ".cache/f.wav",
        "g.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert folders_not_read(KaggleDataset(tmp_path)) == ["./ (1)", "audio_test/ (1)", "eval/ (1)"]
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "train_curated").symlink_to("..")
    assert folders_not_read(KaggleDataset(tmp_path / "linked")) == []
