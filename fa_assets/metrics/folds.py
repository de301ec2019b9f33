"""Cross-validation folds: every row is held out in exactly one fold, and the assignment is a function of the truth
matrix, its row and column order, the number of folds and the seed, and of nothing else."""

from dataclasses import dataclass

import numpy as np

from fa_assets.errors import UserError
from fa_assets.metrics.units import in_order_of_appearance

N_FOLDS = 5
FOLD_SEED = 42


def stratified_folds(truth: np.ndarray, *, n_folds: int = 5, seed: int = 42) -> np.ndarray:
    """The fold in which each row is held out, by iterative stratification (Sechidis et al., ECML PKDD 2011).

    This is `iterstrat`'s `MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)` over the rows
    as they stand; another order of rows or columns gives other folds.

    Args:
        truth: bool (n, C), the clips' labels.
        n_folds: how many folds, 2 to 127.
        seed: of the shuffle.

    Returns:
        int8 (n,), values 0 to n_folds - 1.

    Raises:
        UserError: fewer rows than folds, fewer than two classes, or a number of folds that makes no sense.
    """
    if truth.ndim != 2 or truth.dtype != bool:
        raise ValueError(f"truth must be a bool matrix (rows, classes), not {truth.dtype} of shape {truth.shape}")
    rows, classes = truth.shape
    if not 2 <= n_folds <= 127:
        raise UserError(f"{n_folds} folds were asked for; choose 2 to 127")
    if rows < n_folds:
        raise UserError(f"{rows} clip(s) cannot fill {n_folds} folds; add clips or use fewer folds")
    if classes < 2:
        raise UserError(
            f"stratified folds need two classes or more, and there is {classes}: add clips of another class"
        )

    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    folds = np.full(rows, -1, dtype=np.int8)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros((rows, 1)), truth)):
        folds[held_out] = fold
    return folds


def fold_balance(truth: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """How many positives each class has in each fold.

    Args:
        truth: bool (n, C).
        folds: integer (n,), the fold of each row, 0 or more.

    Returns:
        int64 (n_folds, C), where n_folds is the largest fold plus one.
    """
    return np.array([truth[folds == fold].sum(axis=0) for fold in range(int(folds.max()) + 1)], dtype=np.int64)


MOST_MOVED = 0.2
"""Share of the clips that may change their fold so that units stay whole; beyond it all are assigned again."""
LARGEST_FOLD = 1.5
"""Times an even share of the clips; a fold that is larger leaves too little to fit on, or to judge by."""


def continued_folds(
    truth: np.ndarray, previous: np.ndarray, *, n_folds: int = 5, seed: int = 42, units: np.ndarray | None = None
) -> np.ndarray:
    """Folds that stay put: rows that have a fold keep it, and the others go where their classes are most lacking.

    Rows of one unit share a fold: that in which most of its rows are; of several with as many, the one where its classes are
    most lacking. Where more than `MOST_MOVED` of the rows would leave their fold for that, as when groups are named late, there
    is little to keep, and these are `grouped_folds`. Deterministic.

    Args:
        truth: bool (n, C).
        previous: integer (n,), the fold each row had, -1 for a new row.
        n_folds: how many folds.
        seed: of `grouped_folds`.
        units: integer (n,), the unit of each row; without, each row is one.

    Returns:
        int8 (n,), values 0 to n_folds - 1.

    Raises:
        UserError: a fold is empty: then there are too few rows or groups.
    """
    unit = np.arange(len(truth)) if units is None else in_order_of_appearance(units)
    votes = np.zeros((int(unit.max()) + 1, n_folds), dtype=np.int64)
    known = previous >= 0
    np.add.at(votes, (unit[known], previous[known]), 1)
    folds = _fill(_summed(truth, unit), np.bincount(unit), votes == votes.max(axis=1, keepdims=True))[unit]
    if (folds != previous)[known].sum() > MOST_MOVED * known.sum():
        return grouped_folds(truth, unit, n_folds=n_folds, seed=seed)
    _require_no_empty_fold(folds, n_folds)
    return folds.astype(np.int8)


def grouped_folds(truth: np.ndarray, units: np.ndarray, *, n_folds: int = 5, seed: int = 42) -> np.ndarray:
    """Folds in which no unit is divided, stratified as well as the units allow.

    Where every row is a unit of its own these are `stratified_folds`. Otherwise units are taken one after the other,
    the large ones first, of those alike the ones with the rarest classes, and each goes where the chi-square of
    positives per class and fold grows least; `seed` shuffles those that are alike in both.

    Args:
        truth: bool (n, C).
        units: integer (n,), the unit of each row (see `fa_assets.metrics.units`).
        n_folds, seed: as `stratified_folds`.

    Raises:
        UserError: fewer units than folds; what `stratified_folds` raises.
    """
    unit = in_order_of_appearance(units)
    n_units = int(unit.max()) + 1 if len(unit) else 0
    if n_units == len(truth):
        return stratified_folds(truth, n_folds=n_folds, seed=seed)
    if n_units < n_folds:
        raise UserError(
            f"{n_units} group(s) cannot fill {n_folds} folds: no group, and no set of identical clips, is divided; add groups, "
            "or leave the column group out."
        )
    shuffled = np.random.default_rng(seed).permutation(n_units)
    positives, sizes = _summed(truth, unit), np.bincount(unit)
    fold_of = np.empty(n_units, np.int64)
    fold_of[shuffled] = _fill(positives[shuffled], sizes[shuffled], np.ones((n_units, n_folds), bool))
    return fold_of[unit].astype(np.int8)


@dataclass(frozen=True)
class FoldQuality:
    """How evenly classes and clips are spread over the folds; 0 is even.

    Attributes:
        label_imbalance: by how much a class's positives in a fold differ from an even share, as a part of that share; the
            mean over classes and folds.
        size_imbalance: the same of the clips.
    """

    label_imbalance: float
    size_imbalance: float


def fold_quality(truth: np.ndarray, folds: np.ndarray, n_folds: int = 5) -> FoldQuality:
    """Measure folds (n,) against truth (n, C); classes without positives are left out."""
    counts = np.array([truth[folds == fold].sum(axis=0) for fold in range(n_folds)], dtype=np.float64)
    counts = counts[:, counts.any(axis=0)]
    share = counts.sum(axis=0) / n_folds
    sizes = np.bincount(folds, minlength=n_folds)
    even = len(folds) / n_folds
    return FoldQuality(
        label_imbalance=float((np.abs(counts - share) / share).mean()),
        size_imbalance=float((np.abs(sizes - even) / even).mean()),
    )


def _summed(truth: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Positives per unit and class, int64 (units, C)."""
    positives = np.zeros((int(units.max()) + 1, truth.shape[1]), dtype=np.int64)
    np.add.at(positives, units, truth)
    return positives


def _fill(positives: np.ndarray, sizes: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The fold of each unit: of those allowed, bool (units, folds), the one where the chi-square grows least.

    The chi-square is that of positives per class and fold, and of the sizes as one class more, against even shares. Its
    growth by a unit u in fold f, less what is the same for all folds, is the sum over classes of u * count[f] / total.
    """
    table = np.column_stack([positives, sizes]).astype(np.float64)
    weight = 1 / np.maximum(table.sum(axis=0), 1)
    placed = allowed.sum(axis=1) == 1
    result = allowed.argmax(axis=1)
    counts = np.zeros((allowed.shape[1], table.shape[1]))
    np.add.at(counts, result[placed], table[placed])
    rarest = np.where(positives > 0, positives.sum(axis=0), np.iinfo(np.int64).max).min(axis=1, initial=len(sizes))
    for unit in sorted(np.flatnonzero(~placed), key=lambda unit: (-sizes[unit], rarest[unit])):
        cost = np.where(allowed[unit], (counts * (table[unit] * weight)).sum(axis=1), np.inf)
        best = np.flatnonzero(cost <= cost.min() + 1e-12)
        result[unit] = best[counts[best, -1].argmin()]
        counts[result[unit]] += table[unit]
    return result


def _require_no_empty_fold(folds: np.ndarray, n_folds: int) -> None:
    empty = sorted(set(range(n_folds)) - set(folds.tolist()))
    if empty:
        raise UserError(
            f"fold {', '.join(map(str, empty))} would be empty: there are too few clips or groups; add some, or set "
            "FA_FOLDS=fresh to stratify all clips again."
        )
