import numpy as np
import pytest
from sklearn.decomposition import PCA

from fa_assets.metrics.projection import project


@pytest.mark.parametrize("shape", [(12, 40), (90, 20)])
def test_it_is_scikit_learns_pca_up_to_the_sign(shape: tuple[int, int]) -> None:
    embeddings = np.random.default_rng(2).normal(size=shape).astype(np.float32) * np.linspace(5, 1, shape[1])
    points, explained = project(embeddings)
    pca = PCA(n_components=2, svd_solver="full")
    np.testing.assert_allclose(np.abs(points), np.abs(pca.fit_transform(embeddings)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(explained, pca.explained_variance_ratio_, rtol=1e-6)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


def test_points_that_are_all_one_point_stay_there() -> None:
    points, explained = project(np.full((5, 8), 3.0, np.float32))
    np.testing.assert_allclose(points, 0)
    np.testing.assert_array_equal(explained, 0)
