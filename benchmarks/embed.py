"""MC5 embeddings from files: clip by clip through librosa and panns_inference, against `embed_clips`."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.reference import reference_tagger
from benchmarks.timing import Result, best, largest_difference, middle, require, smallest_cosine, timed
from fa_assets.audio.crops import SCHEMES
from fa_assets.audio.decode import inspect_clip
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.cnn14.architecture import CROP_SAMPLES, SAMPLE_RATE
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.encoders.embed_clips import Clip, LocalEngine, embed_clips
from fa_assets.encoders.threads import usable_cpus
from fa_assets.intake.kaggle import KaggleDataset, read_labels
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.store.embedding_store import EmbeddingStore

TOLERANCE_FP32 = 1e-5
LEAST_COSINE_BF16 = 0.9998
MOST_LABELLED = 500
"""Clips on which the precisions' LWLRAP is compared."""
CROP_FLOP = 42.2e9
"""Of the convolutions for one crop of 10 s, computed directly; two per multiply-add."""


def clips_of(paths: Sequence[Path]) -> list[Clip]:
    infos = [inspect_clip(path) for path in paths]
    return [
        Clip(path.name, path, info.sha256, info.sample_rate, info.frames)
        for path, info in zip(paths, infos, strict=True)
    ]


def spread(folder: Path, count: int) -> list[Path]:
    """`count` clips of a folder, evenly spread over the sorted names."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return [paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(count, len(paths)))]


def ours(clips: list[Clip], encoder: Encoder, scheme: str = "mc5") -> np.ndarray:
    """Through an empty store, as a first run does it."""
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore(Path(folder), "benchmark")
        return embed_clips(
            LocalEngine(lambda: encoder, usable_cpus()), clips, SCHEMES[scheme], store, encoder.card
        ).vectors


def measure(
    dataset: Path, checkpoint: Path, clips_per_round: int, rounds: int, device: str, trunk: tuple[int, int, int]
) -> Result:
    """Rounds of reference, fp32 and bf16 on the same clips; the first call of each network is not counted.

    `trunk`: crops at a time, turns, and the matrices' side for the trunk's share of the matrix-product rate.
    """
    import librosa

    tagger = reference_tagger(checkpoint, "cuda" if device == "cuda" else "cpu")
    encoders = {name: Cnn14Encoder(checkpoint, device=device, precision=name) for name in ("fp32", "bf16")}

    def reference(clips: list[Clip]) -> np.ndarray:
        means = []
        for clip in clips:
            samples, _ = librosa.load(clip.path, sr=32_000, mono=True)
            slack = max(0, len(samples) - CROP_SAMPLES)
            starts = [0, slack // 2, slack, int(0.25 * slack), int(0.75 * slack)]
            crops = [samples[start : start + CROP_SAMPLES] for start in starts]
            batch = np.stack([np.pad(crop, (0, CROP_SAMPLES - len(crop))) for crop in crops])
            means.append(tagger.inference(batch)[1].mean(axis=0))
        return np.stack(means)

    clips = clips_of(spread(dataset / "train_curated", clips_per_round * rounds))
    reference(clips[:1])
    for encoder in encoders.values():
        ours(clips[:1], encoder)
    times: dict[str, list[float]] = {"reference": [], "fp32": [], "bf16": []}
    worst, cosine = 0.0, 1.0
    for turn in range(rounds):
        some = clips[turn::rounds]
        wanted, spent = timed(reference, some)
        times["reference"].append(spent)
        vectors = {}
        for name, encoder in encoders.items():
            vectors[name], spent = timed(ours, some, encoder)
            times[name].append(spent)
        exact, close = vectors["fp32"], vectors["bf16"]
        worst = max(worst, largest_difference(exact, wanted))
        cosine = min(cosine, smallest_cosine(exact, close))
    require(worst <= TOLERANCE_FP32, f"fp32 embeddings differ from the reference by {worst:.1e} of the largest value")
    require(cosine >= LEAST_COSINE_BF16, f"bf16 embeddings have a cosine of {cosine:.6f} to fp32")
    ratios = {name: middle([a / b for a, b in zip(times["reference"], times[name], strict=True)]) for name in encoders}
    return {
        "embed.clips": float(len(clips)),
        "embed.clips_up_to_10_s": float(np.mean([clip.samples_at(SAMPLE_RATE) <= CROP_SAMPLES for clip in clips])),
        "embed.reference_seconds_per_clip": sum(times["reference"]) / len(clips),
        "embed.ratio_fp32": ratios["fp32"],
        "embed.ratio_bf16": ratios["bf16"],
        "embed.max_rel_err_fp32": worst,
        "embed.min_cosine_bf16": cosine,
        **{f"embed.trunk_share_of_matmul_{name}": trunk_share(encoder, *trunk) for name, encoder in encoders.items()},
        **(lwlraps(dataset, encoders) if (dataset / "train_curated.csv").is_file() else {}),
    }


def lwlraps(dataset: Path, encoders: Mapping[str, Cnn14Encoder]) -> Result:
    """Out-of-fold LWLRAP of each precision on labelled clips, by the default classifier and by torch at a tight tolerance.

    The default stops early, and on a small set what it stops at moves with the last digits.
    """
    labelled = read_labels(KaggleDataset(dataset))
    paths = spread(dataset / "train_curated", MOST_LABELLED)
    label_of = dict(zip(labelled.fnames, labelled.labels, strict=True))
    clips = clips_of([path for path in paths if path.name in label_of])
    labels = [label_of[clip.fname] for clip in clips]
    truth = multi_hot(labels, sorted({name for own in labels for name in own}))
    folds = stratified_folds(truth)
    converged = partial(CLASSIFIERS["torch"].fit, tolerance=1e-6)
    result = {}
    for name, encoder in encoders.items():
        vectors = ours(clips, encoder)
        for solver, fit in {"": CLASSIFIERS["scikit-learn"].fit, "_converged": converged}.items():
            logits = np.empty(truth.shape)
            for fold in np.unique(folds):
                held_out = folds == fold
                logits[held_out] = fit(vectors[~held_out], truth[~held_out]).logits(vectors[held_out])
            result[f"embed.lwlrap_{name}{solver}"] = lwlrap_sums(truth, logits).overall
    return result


def trunk_share(encoder: Cnn14Encoder, crops: int, turns: int, side: int) -> float:
    """The rate at which full crops pass the trunk, in operations of the direct convolution, as a share of the rate of a
    product of two square matrices in the same precision. Above 1 where the trunk needs fewer operations."""
    import torch

    network = encoder._network
    sound = 0.1 * torch.randn(crops, CROP_SAMPLES, device=network._device)
    matrix = torch.randn(side, side, device=network._device, dtype=network._dtype)

    def shortest(work: Callable[[], object], times: int) -> float:
        def finished() -> None:
            with torch.inference_mode():
                work()
                if encoder.device == "cuda":
                    torch.cuda.synchronize()

        return best(finished, times)

    shares = []
    for _ in range(turns):
        rate = 2 * side**3 / shortest(lambda: matrix @ matrix, 3)
        front_end = shortest(lambda: [network._normalised_log_mel(crop[None], 1001) for crop in sound], 1)
        trunk = shortest(lambda: network.embed(sound, [1001] * crops), 1) - front_end
        shares.append(crops * CROP_FLOP / trunk / rate)
    return middle(shares)
