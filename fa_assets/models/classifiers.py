"""The classifiers that FA_CLASSIFIER can name. Another one is a module with a `fit`, and its entry here.

A `fit(X, Y, *, C, max_iter, device, progress)` takes training rows X (n, d) and their labels Y, bool (n, C), and gives a
`OneVsRest`: linear models with `logits(X)`, and for each class its iterations, converged, trained and positives.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fa_assets.models import scikit_learn, torch_lbfgs
from fa_assets.models.one_vs_rest import OneVsRest


@dataclass(frozen=True)
class Classifier:
    """A way of fitting.

    Attributes:
        fit: as above.
        takes_files: X may also be a `RowFile`, which is read in blocks, so that the rows need not fit in memory.
        kind: of assets that use it, in Dagster's UI.
    """

    fit: Callable[..., OneVsRest]
    takes_files: bool
    kind: str


CLASSIFIERS = {
    "scikit-learn": Classifier(scikit_learn.fit, takes_files=False, kind="scikitlearn"),
    "torch": Classifier(torch_lbfgs.fit, takes_files=True, kind="pytorch"),
}
