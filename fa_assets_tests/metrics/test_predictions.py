import numpy as np
import pyarrow as pa
import pytest

from fa_assets.metrics.predictions import matrix, predictions_of
from fa_assets.store.embedding_store import list_column


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 3)])
@pytest.mark.parametrize("dtype", [bool, np.float64])
def test_a_matrix_is_a_column_of_lists_and_back(shape: tuple[int, int], dtype: type) -> None:
    values = (np.arange(np.prod(shape)).reshape(shape) % 3).astype(dtype)
    column = list_column(values)
    assert column.to_pylist() == values.tolist()
    back = matrix(pa.chunked_array([column.slice(0, 1), column.slice(1)]), shape[1])
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


def test_the_stored_table_is_read_as_matrices() -> None:
    logits = np.array([[0.0, 1.0], [2.0, 3.0], [10.0, 11.0]])
    table = pa.table(
        {
            "fname": ["a", "b", "c"],
            "fold": pa.array([0, 0, 1], pa.int8()),
            "truth": list_column(logits % 2 == 0),
            "logit": list_column(logits),
            "probability": list_column(1 / (1 + np.exp(-logits))),
        }
    )
    found = predictions_of(table, ["x", "y"])
    assert found.fnames.tolist() == ["a", "b", "c"]
    assert found.fold.tolist() == [0, 0, 1]
    assert found.classes == ("x", "y")
    np.testing.assert_array_equal(found.logits, logits)
    assert found.truth.tolist() == [[True, False]] * 3
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-logits)))
