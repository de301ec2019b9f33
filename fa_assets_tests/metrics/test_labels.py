"""Label lists become the matrix that says what they say, or an error that names every stranger."""

from collections.abc import Sequence

import numpy as np
import pytest

from fa_assets.errors import BadInputError
from fa_assets.metrics.labels import multi_hot


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param([["b"], ["a", "c"]], [[0, 1, 0], [1, 0, 1]], id="columns follow the classes"),
        pytest.param([["c", "a", "c"]], [[1, 0, 1]], id="a repeated label counts once"),
        pytest.param([[], ["a"]], [[0, 0, 0], [1, 0, 0]], id="no labels"),
        pytest.param([], np.zeros((0, 3)), id="no clips"),
    ],
)
def test_multi_hot(labels: Sequence[Sequence[str]], expected: Sequence[Sequence[int]]) -> None:
    truth = multi_hot(labels, ["a", "b", "c"])
    assert truth.dtype == bool
    np.testing.assert_array_equal(truth, np.array(expected, dtype=bool))


def test_every_unknown_label_is_named_once() -> None:
    with pytest.raises(BadInputError) as caught:
        multi_hot([["a"], ["x", "a"], ["y"], ["x"]], ["a", "b"])
    assert caught.value.offenders == ("'x': 2 time(s), first in row 1", "'y': 1 time(s), first in row 2")


def test_a_repeated_class_is_refused() -> None:
    with pytest.raises(BadInputError) as caught:
        multi_hot([["a"]], ["a", "b", "a"])
    assert caught.value.offenders == ("a",)
