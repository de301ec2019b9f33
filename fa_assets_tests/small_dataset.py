"""A dataset small enough for a test to embed, with everything that matters in it: multi-label clips, a stereo clip, a
clip over 10 s, several rates."""

from pathlib import Path

import numpy as np
import soundfile

CLASSES = ("Tone", "Noise", "Click", "Sweep")
N_CLIPS = 24
TEST_FNAMES = ("t1.wav", "t0.wav", "t2.wav")
"""In the order of sample_submission.csv; the labels of all but the last are in test.csv."""


def sound(label: str, seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """One class's sound, (n,) float64."""
    t = np.arange(max(1, round(seconds * rate))) / rate
    if label == "Tone":
        return 0.4 * np.sin(2 * np.pi * rng.uniform(300, 900) * t)
    if label == "Noise":
        return rng.uniform(-0.3, 0.3, len(t))
    if label == "Click":
        return 0.9 * (np.sin(2 * np.pi * rng.uniform(2, 6) * t) > 0.999)
    return 0.4 * np.sin(2 * np.pi * (200 + rng.uniform(300, 800) * t) * t)


def make_clip(path: Path, labels: tuple[str, ...], index: int) -> None:
    """Write one clip; the same index gives the same bytes."""
    rng = np.random.default_rng(index)
    rate = (32_000, 44_100, 16_000)[index % 3]
    seconds = 11.0 if index == 7 else rng.uniform(0.3, 0.8)
    samples = sum(sound(label, seconds, rate, rng) for label in labels) / len(labels)
    soundfile.write(path, np.stack([samples, samples], axis=1) if index == 5 else samples, rate)


def make_small_dataset(folder: Path) -> None:
    """Write the dataset in the Kaggle layout: `N_CLIPS` clips named 00.wav and so on, the classes in
    `CLASSES` order, and three test clips."""
    (folder / "train_curated").mkdir(parents=True)
    rows = ["fname,labels"]
    for index in range(N_CLIPS):
        labels = (CLASSES[index % 4], CLASSES[(index + 1) % 4]) if index % 6 == 0 else (CLASSES[index % 4],)
        make_clip(folder / "train_curated" / f"{index:02}.wav", labels, index)
        rows.append(f'{index:02}.wav,"{",".join(labels)}"')
    (folder / "train_curated.csv").write_text("\n".join(rows) + "\n")
    (folder / "SOURCE.txt").write_text("Small sounds, made for tests\n")
    (folder / "test").mkdir()
    for index, fname in enumerate(TEST_FNAMES):
        make_clip(folder / "test" / fname, (CLASSES[index],), 9000 + index)
    submission = ["fname," + ",".join(CLASSES), *(fname + ",0" * len(CLASSES) for fname in TEST_FNAMES)]
    (folder / "sample_submission.csv").write_text("\n".join(submission) + "\n")
    (folder / "test.csv").write_text('fname,labels,usage\nt0.wav,"Noise,Tone",Private\nt1.wav,Tone,Public\n')
