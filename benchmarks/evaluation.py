"""The classifiers against the notebook's one-vs-rest pipeline, and LWLRAP against a loop over rows."""

import os

import numpy as np

from benchmarks.timing import Result, middle, require, timed
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.classifiers import CLASSIFIERS


def embeddings_like(
    rows: int, columns: int, classes: int, *, noise: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Made-up training set: sparse non-negative float32 features around one prototype per class, and labels,
    a seventh of the rows with a second one."""
    random = np.random.default_rng(seed)
    truth = np.zeros((rows, classes), dtype=bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    doubled = np.flatnonzero(random.random(rows) < 1 / 7)
    truth[doubled, random.integers(0, classes, len(doubled))] = True
    prototypes = random.normal(size=(classes, columns)) * (random.random((classes, columns)) < 0.1)
    features = np.maximum(truth @ prototypes + noise * random.normal(size=(rows, columns)) - 0.5, 0)
    return features.astype(np.float32), truth


def measure_oof(rows: int, classes: int, folds: int) -> Result:
    """The fits of `folds` of five folds: the notebook's pipeline, on all CPUs, and each classifier in turns."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, Y = embeddings_like(rows, 2048, classes)
    fold_of = stratified_folds(Y)
    regression = LogisticRegression(solver="lbfgs", C=2.0, max_iter=1000)
    notebook = OneVsRestClassifier(make_pipeline(StandardScaler(), regression), n_jobs=-1)
    seconds: dict[str, list[float]] = {name: [] for name in ("reference", *CLASSIFIERS)}
    lwlraps: dict[str, list[float]] = {name: [] for name in seconds}
    furthest = dict.fromkeys(CLASSIFIERS, 0.0)
    for fit in (notebook.fit, *(one.fit for one in CLASSIFIERS.values())):
        fit(X[:200], Y[:200, :3])  # imports, and the notebook's worker processes
    loads = []
    for fold in range(folds):
        train, held_out = fold_of != fold, fold_of == fold
        seconds["reference"].append(timed(notebook.fit, X[train], Y[train])[1])
        wanted = notebook.predict_proba(X[held_out])
        lwlraps["reference"].append(lwlrap_sums(Y[held_out], wanted).overall)
        for name, classifier in CLASSIFIERS.items():
            model, spent = timed(classifier.fit, X[train], Y[train])
            seconds[name].append(spent)
            logits, probabilities = model.predict(X[held_out])
            lwlraps[name].append(lwlrap_sums(Y[held_out], logits).overall)
            furthest[name] = max(furthest[name], float(np.abs(probabilities - wanted).max()))
            if name == "scikit-learn":
                iterations = [int(pipeline[-1].n_iter_[0]) for pipeline in notebook.estimators_]
                require(
                    model.iterations.tolist() == iterations, f"fold {fold}: other iteration counts than the notebook's"
                )
        loads.append(os.getloadavg()[0])
    require(
        furthest["scikit-learn"] == 0, f"probabilities differ from the notebook's by {furthest['scikit-learn']:.1e}"
    )
    found: Result = {"oof.rows": float(rows), "oof.classes": float(classes), "oof.load": middle(loads)}
    for name, values in seconds.items():
        found[f"oof.{name}.seconds_per_fold"] = middle(values)
    for name in CLASSIFIERS:
        ratios = [one / own for one, own in zip(seconds["reference"], seconds[name], strict=True)]
        found[f"oof.{name}.ratio"] = middle(ratios)
        found[f"oof.{name}.max_abs_diff"] = furthest[name]
        found[f"oof.{name}.lwlrap"] = middle(lwlraps[name])
    return found


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
