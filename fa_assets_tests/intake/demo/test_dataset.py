"""The generated demo set: its layout, its make-up, that it is the same every time, and that it can be learnt from."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fa_assets.audio.decode import ClipInfo, inspect_clip, load_mono
from fa_assets.errors import UserError
from fa_assets.intake.demo.dataset import generate_demo_dataset
from fa_assets.intake.demo.sounds import SOUNDS

pytestmark = pytest.mark.xdist_group("demo")

SMALL = {"n_clips": 12, "n_test": 2}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "set"
    generate_demo_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def rows(demo: Path) -> list[tuple[str, list[str]]]:
    with (demo / "train_curated.csv").open(newline="") as file:
        return [(row["fname"], row["labels"].split(",")) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def infos(demo: Path, rows: list[tuple[str, list[str]]]) -> list[ClipInfo]:
    return [inspect_clip(demo / "train_curated" / fname) for fname, _ in rows]


@pytest.fixture(scope="module")
def sounds(demo: Path, rows: list[tuple[str, list[str]]]) -> list[np.ndarray]:
    return [load_mono(demo / "train_curated" / fname, 32_000) for fname, _ in rows]


@pytest.fixture(scope="module")
def a_small_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "set"
    generate_demo_dataset(folder, **SMALL)
    return folder


@pytest.fixture
def small(a_small_one: Path, tmp_path: Path) -> Path:
    """A copy of a small set that a test may change."""
    return Path(shutil.copytree(a_small_one, tmp_path / "set"))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_layout(demo: Path, rows: list[tuple[str, list[str]]]) -> None:
    fnames = [fname for fname, _ in rows]
    assert len(fnames) == len(set(fnames)) == 80
    assert fnames == sorted(fnames)
    assert {path.name for path in (demo / "train_curated").iterdir()} == set(fnames)
    with (demo / "sample_submission.csv").open(newline="") as file:
        header, *submission = csv.reader(file)
    assert header == ["fname", *sorted(SOUNDS)]
    assert {value for row in submission for value in row[1:]} == {"0"}
    test_fnames = [row[0] for row in submission]
    assert test_fnames == sorted(path.name for path in (demo / "test").iterdir())
    assert len(test_fnames) == 10
    assert not set(test_fnames) & set(fnames)
    for path in (demo / "test").iterdir():
        inspect_clip(path)
    assert {path.name for path in demo.iterdir()} == {
        "README.txt", "demo.json", "sample_submission.csv", "test", "train_curated", "train_curated.csv",
    }  # fmt: skip
    assert "CC0" in (demo / "README.txt").read_text()
    assert sum(path.stat().st_size for path in demo.rglob("*")) < 40e6
    assert [path.name for path in demo.parent.iterdir()] == ["set"]


def test_make_up(rows: list[tuple[str, list[str]]], infos: list[ClipInfo]) -> None:
    positives = Counter(label for _, labels in rows for label in labels)
    assert sorted(positives) == sorted(SOUNDS)
    assert min(positives.values()) >= 5
    assert Counter(len(labels) for _, labels in rows) == {1: 67, 2: 10, 3: 3}
    seconds = np.array([info.seconds for info in infos])
    assert (seconds.min(), seconds.max()) == (0.3, 25.0)
    assert ((seconds > 10).sum(), (seconds > 20).sum()) == (11, 2)
    assert np.mean((seconds >= 0.5) & (seconds <= 6)) > 0.75
    assert {info.sample_rate for info in infos} == {8_000, 16_000, 22_050, 32_000, 44_100, 48_000}
    assert {info.channels for info in infos} == {1, 2}
    assert {Path(fname).suffix for fname, _ in rows} == {".wav", ".flac"}


def test_clips_are_heard_and_do_not_clip(sounds: list[np.ndarray], rows: list[tuple[str, list[str]]]) -> None:
    for (fname, _), samples in zip(rows, sounds, strict=True):
        assert 0.05 < np.abs(samples).max() < 1.2, fname
        assert np.sqrt(np.mean(samples**2)) > 1e-3, fname


@pytest.mark.parametrize("name", sorted(SOUNDS))
@pytest.mark.parametrize(("seconds", "rate"), [(0.3, 8_000), (0.01, 44_100), (3.0, 48_000)])
def test_sounds_at_any_length_and_rate(name: str, seconds: float, rate: int) -> None:
    n = int(seconds * rate)
    first, again, other = (SOUNDS[name](np.random.default_rng(seed), n, rate) for seed in (1, 1, 2))
    assert first.shape == (n,)
    assert np.isfinite(first).all()
    assert np.std(first) > 0
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_same_bytes_every_time_also_in_an_empty_folder(a_small_one: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    generate_demo_dataset(tmp_path / "empty", **SMALL)
    assert digests(tmp_path / "empty") == digests(a_small_one)
    generate_demo_dataset(tmp_path / "deep" / "other", **SMALL, seed=1)
    assert not set(digests(tmp_path / "deep" / "other").values()) & set(digests(a_small_one).values())


def test_what_is_there_is_left_alone(small: Path) -> None:
    next((small / "test").iterdir()).unlink()  # it is a dataset like any other, and may be changed
    (small / "train_curated.csv").write_text("fname,labels\n")
    times = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    generate_demo_dataset(small, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == times


def lose_the_marker(folder: Path) -> None:
    (folder / "demo.json").unlink()


def make_by_another_version(folder: Path) -> None:
    marker = json.loads((folder / "demo.json").read_text())
    (folder / "demo.json").write_text(json.dumps({**marker, "version": 0}))


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (digests, {**SMALL, "seed": 7}, "made otherwise"),  # spoils nothing: other arguments are asked for
        (make_by_another_version, SMALL, "made otherwise"),
        (lose_the_marker, SMALL, "is not a generated demo set"),
    ],
)
def test_something_else_is_refused_and_not_touched(small: Path, spoil, arguments: dict, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(small)
    before = digests(small.parent)
    with pytest.raises(UserError, match=message):
        generate_demo_dataset(small, **arguments)
    assert digests(small.parent) == before


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(UserError, match="is not a generated demo set"):
        generate_demo_dataset(tmp_path / "set", **SMALL)
    assert (tmp_path / "set").read_text() == "mine"


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("soundfile.write", no_room)
    with pytest.raises(OSError, match="no space left"):
        generate_demo_dataset(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_quicker_process_wins(a_small_one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        shutil.copytree(a_small_one, folder)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    generate_demo_dataset(folder, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_too_few_clips() -> None:
    with pytest.raises(ValueError, match="at least 12"):
        generate_demo_dataset(Path("never"), n_clips=11)


@pytest.mark.slow
def test_learnable_and_not_trivial(sounds: list[np.ndarray], rows: list[tuple[str, list[str]]]) -> None:
    """Mean and spread of 64 log-mel bands and a linear model: far above chance (LWLRAP 0.25), below perfect."""
    import librosa

    def features(samples: np.ndarray) -> np.ndarray:
        mel = librosa.feature.melspectrogram(y=samples, sr=32_000, n_fft=1024, hop_length=640, n_mels=64, fmin=50)
        bands = librosa.power_to_db(mel)
        return np.concatenate([bands.mean(axis=1), bands.std(axis=1)])

    def held_out_scores(X: np.ndarray, Y: np.ndarray, fold: np.ndarray) -> np.ndarray:
        scores = np.zeros(Y.shape)
        for k in range(5):
            train = fold != k
            Z = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
            kernel = Z @ Z[train].T  # ridge regression
            mean = Y[train].mean(axis=0)
            scores[~train] = kernel[~train] @ np.linalg.solve(kernel[train] + 30 * np.eye(train.sum()), Y[train] - mean)
        return scores

    X = np.stack([features(samples) for samples in sounds])
    Y = np.array([[name in labels for name in sorted(SOUNDS)] for _, labels in rows], float)
    scores = held_out_scores(X, Y, np.random.default_rng(0).permutation(len(rows)) % 5)
    at_least = scores[:, None, :] >= scores[:, :, None]  # [clip, class, other]: the other ranks no lower
    precision = (at_least * Y[:, None, :]).sum(axis=2) / at_least.sum(axis=2)
    lwlrap = (precision * Y).sum() / Y.sum()
    assert 0.7 < lwlrap < 0.97
