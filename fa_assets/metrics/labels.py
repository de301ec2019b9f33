"""Label lists as a multi-hot matrix: row i, column c is True exactly when clip i carries class c, in the given order."""

from collections.abc import Sequence

import numpy as np

from fa_assets.errors import BadInputError


def multi_hot(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> np.ndarray:
    """The truth matrix of a list of clips.

    Args:
        labels: for each clip its labels; a label given twice counts once, a clip may have none.
        classes: the C class names, in column order.

    Returns:
        bool, shape (n, C).

    Raises:
        BadInputError: a class name appears twice, or labels are not among the classes; each is named.
    """
    column = {name: index for index, name in enumerate(classes)}
    if len(column) < len(classes):
        repeated = [name for name in column if list(classes).count(name) > 1]
        raise BadInputError("class names appear more than once; give each class one name", repeated)
    truth = np.zeros((len(labels), len(classes)), dtype=bool)
    unknown: dict[str, list[int]] = {}
    for row, names in enumerate(labels):
        for name in names:
            if name in column:
                truth[row, column[name]] = True
            else:
                unknown.setdefault(name, []).append(row)
    if unknown:
        raise BadInputError(
            "labels that are not among the classes; correct the labels or add the classes",
            [f"{name!r}: {len(rows)} time(s), first in row {rows[0]}" for name, rows in unknown.items()],
        )
    return truth
