"""Cross-validation folds: every row is held out in exactly one fold, and the assignment is a function of the truth
matrix, its row and column order, the number of folds and the seed, and of nothing else."""

import numpy as np

from fa_assets.errors import UserError


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
        raise UserError(f"stratified folds need two classes or more, and there is {classes}; check the class list")

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
