"""The out-of-fold stage against scikit-learn's one-vs-rest pipeline, and LWLRAP against a loop over rows."""

import warnings

import numpy as np

from benchmarks.timing import Result, middle, require, timed
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.one_vs_rest import fit_one_vs_rest

TOLERANCE = 1e-4


def embeddings_like(rows: int, classes: int, columns: int = 2048, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up data of the stage's shape: sparse non-negative float32 features around one prototype per class, and labels,
    a seventh of the rows with a second one."""
    random = np.random.default_rng(seed)
    truth = np.zeros((rows, classes), dtype=bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    doubled = np.flatnonzero(random.random(rows) < 1 / 7)
    truth[doubled, random.integers(0, classes, len(doubled))] = True
    prototypes = random.normal(size=(classes, columns)) * (random.random((classes, columns)) < 0.1)
    features = np.maximum(truth @ prototypes + random.normal(size=(rows, columns)) - 0.5, 0)
    return features.astype(np.float32), truth


def measure_oof(rows: int, classes: int, folds: int) -> Result:
    """`folds` of five folds, scikit-learn and ours in turns; the stage is five times one fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, Y = embeddings_like(rows, classes)
    fold_of = stratified_folds(Y)
    ratios, reference_times, our_times, worst = [], [], [], 0.0
    fit_one_vs_rest(X[:200], Y[:200])  # imports
    for fold in range(folds):
        train, held_out = fold_of != fold, fold_of == fold
        regression = LogisticRegression(solver="lbfgs", C=2.0, max_iter=1000)
        reference = OneVsRestClassifier(make_pipeline(StandardScaler(), regression))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipelines, spent = timed(reference.fit, X[train], Y[train])
        reference_times.append(spent)
        model, spent = timed(fit_one_vs_rest, X[train], Y[train])
        our_times.append(spent)
        ratios.append(reference_times[-1] / our_times[-1])
        worst = max(worst, float(np.abs(model.probabilities(X[held_out]) - pipelines.predict_proba(X[held_out])).max()))
        iterations = [int(pipeline[-1].n_iter_[0]) for pipeline in pipelines.estimators_]
        require(model.iterations.tolist() == iterations, f"fold {fold}: other iteration counts than scikit-learn's")
    require(worst <= TOLERANCE, f"probabilities differ from scikit-learn's by {worst:.1e}")
    return {
        "oof.rows": float(rows),
        "oof.classes": float(classes),
        "oof.folds_measured": float(folds),
        "oof.reference_seconds_per_fold": middle(reference_times),
        "oof.seconds_per_fold": middle(our_times),
        "oof.ratio": middle(ratios),
        "oof.max_abs_diff": worst,
    }


def lwlrap_by_rows(truth: np.ndarray, scores: np.ndarray) -> float:
    """The metric as its definition reads, row by row and label by label."""
    precisions = []
    for labels, values in zip(truth, scores, strict=True):
        for label in np.flatnonzero(labels):
            above = values >= values[label]
            precisions.append(labels[above].sum() / above.sum())
    return float(np.mean(precisions))


def lwlrap_by_sorted_rows(truth: np.ndarray, scores: np.ndarray) -> float:
    """The metric as it is commonly computed: each row is sorted, and its hits are counted from the best score down."""
    precisions = []
    for labels, values in zip(truth, scores, strict=True):
        hits = labels[np.argsort(-values, kind="stable")]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        precisions.append(precision[hits])
    return float(np.mean(np.concatenate(precisions)))


def measure_lwlrap(rows: int, classes: int, turns: int) -> Result:
    """Against scikit-learn's function, which ranks row by row, and against the two loops above."""
    from sklearn.metrics import label_ranking_average_precision_score

    random = np.random.default_rng(0)
    truth = random.random((rows, classes)) < 1.2 / classes
    scores = random.normal(size=truth.shape)
    weights = truth.sum(axis=1)
    ratios, plain_ratios, sorted_ratios = [], [], []
    lwlrap_sums(truth, scores)
    for _ in range(turns):
        wanted, loop = timed(lwlrap_by_rows, truth, scores)
        sorted_wanted, sorted_loop = timed(lwlrap_by_sorted_rows, truth, scores)
        score, spent_there = timed(lambda: label_ranking_average_precision_score(truth, scores, sample_weight=weights))
        sums, spent = timed(lwlrap_sums, truth, scores)
        ratios.append(spent_there / spent)
        plain_ratios.append(loop / spent)
        sorted_ratios.append(sorted_loop / spent)
        require(abs(score - sums.overall) <= 1e-12, "LWLRAP differs from scikit-learn's")
        require(abs(wanted - sums.overall) <= 1e-12, "LWLRAP differs from the loop over rows")
        require(abs(sorted_wanted - sums.overall) <= 1e-12, "LWLRAP differs from the loop over sorted rows")
    return {
        "lwlrap.ratio": middle(ratios),
        "lwlrap.ratio_to_plain_loop": middle(plain_ratios),
        "lwlrap.ratio_to_sorting_loop": middle(sorted_ratios),
    }
