import numpy as np
import pyarrow as pa
import pytest

from fa_assets.errors import UserError
from fa_assets.metrics.predictions import predictions_of


def table(fnames: list[str], classes: list[str], start: float) -> pa.Table:
    n = len(fnames) * len(classes)
    logits = start + np.arange(n)
    return pa.table(
        {
            "fname": np.repeat(np.array(fnames, dtype=object), len(classes)),
            "class_name": classes * len(fnames),
            "truth": logits % 2 == 0,
            "logit": logits,
            "probability": 1 / (1 + np.exp(-logits)),
        }
    )


def test_rows_become_matrices_fold_after_fold() -> None:
    found = predictions_of({1: table(["c"], ["x", "y"], 10), 0: table(["a", "b"], ["x", "y"], 0)}, "some_predictions")
    assert found.fnames.tolist() == ["a", "b", "c"]
    assert found.fold.tolist() == [0, 0, 1]
    assert found.classes == ("x", "y")
    assert found.logits.tolist() == [[0, 1], [2, 3], [10, 11]]
    assert found.truth.tolist() == [[True, False]] * 3
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-found.logits)))


def test_folds_of_other_classes_do_not_go_together() -> None:
    with pytest.raises(UserError, match="some_predictions, fold 1, has other classes"):
        predictions_of({0: table(["a"], ["x", "y"], 0), 1: table(["b"], ["y", "x"], 0)}, "some_predictions")
