"""CPU seconds of the experiments on made-up embeddings: `python -m benchmarks.experiments`, with OMP_NUM_THREADS=1."""

import argparse
import time

import numpy as np

from benchmarks.evaluation import embeddings_like
from fa_assets.metrics.folds import stratified_folds
from fa_assets.models.experiments import parse_variants, run_experiments

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def measure(rows: int, classes: int, variants: str, noise: float = 0.3) -> float:
    """CPU seconds of the baseline, the variants (as FA_EXPERIMENTS names them) and the nested choice among them."""
    features, truth = embeddings_like(rows, 2048, classes)
    random = np.random.default_rng(1)
    crops = {one: np.maximum(features + random.normal(0, noise, features.shape), 0).astype("f4") for one in FRACTIONS}
    fold_of = stratified_folds(truth)
    run_experiments([], {one: part[:40, :8] for one, part in crops.items()}, truth[:40], fold_of[:40])  # imports
    started = time.process_time()
    run_experiments(parse_variants(variants), crops, truth, fold_of)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--rows", type=int, default=4970)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--variants", default="all", help="as FA_EXPERIMENTS (default: %(default)s)")
    options = parser.parse_args()
    spent = measure(options.rows, options.classes, options.variants)
    print(f"{options.rows} x 2048, {options.classes} classes, {options.variants!r}: {spent:.1f} CPU seconds")


if __name__ == "__main__":
    main()
