import sys
from types import ModuleType

import numpy as np
import pytest

from fa_assets.metrics.projection import umap
from fa_assets.report.embedding_map import embedding_map
from fa_assets.report.page import Page, Section, render

N = 20
NAMES = [f"{number}.wav" for number in range(N)]
LABELS = [["Bell"] if number < 12 else ["Dog", "Cat"] if number < 19 else [] for number in range(N)]
DOUBTS = {"0.wav": [("wrong label", "Bell"), ("missing label", "Dog")], "1.wav": [("missing label", "Cat")]}


def made(embeddings: np.ndarray, sounds: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    return embedding_map(embeddings, NAMES, LABELS, [number % 5 for number in range(N)], DOUBTS, sounds or {})


def test_every_clip_is_a_point_with_its_class_fold_and_doubt() -> None:
    found = made(np.random.default_rng(0).normal(size=(N, 8)), {"3.wav": "data:x"})
    assert [one.classes for one in (found.points[0], found.points[1], found.points[12], found.points[19])] == [
        "c0 f0 d1",
        "c0 f1 d2",
        "c1 f2 d0",
        "c8 f4 d0",
    ]
    assert all(0 < one.x < found.width and 0 < one.y < found.height for one in found.points)
    assert found.keys["class"] == [(0, "Bell"), (1, "Dog"), (8, "other classes")]
    assert found.data["clips"][0] == ["0.wav", "Bell", 0, "wrong label Bell, missing label Dog"]
    assert found.data["sounds"] == {"3.wav": "data:x"}
    html = render(Page("t", "s", "a", [], sections=[Section("Map", map=found)]))
    assert html.count("<circle ") == N and '<circle cx="' in html


def test_alike_clips_lie_together_by_the_principal_components_where_umap_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    groups = np.arange(N) % 2
    found = made(groups[:, None] * 10 + np.random.default_rng(0).normal(size=(N, 8)))
    x = np.array([one.x for one in found.points])
    assert x[groups == 0].max() < x[groups == 1].min() or x[groups == 1].max() < x[groups == 0].min()
    assert "principal components" in found.alt


def test_umap_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    class UMAP:
        def __init__(self, **options: object) -> None:
            asked.update(options)

        def fit_transform(self, embeddings: np.ndarray) -> np.ndarray:
            return embeddings[:, :2]

    module = ModuleType("umap")
    module.UMAP = UMAP  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", module)
    embeddings = np.random.default_rng(0).normal(size=(N, 8))
    assert "by UMAP" in made(embeddings).alt and asked["random_state"] == 0
    assert umap(embeddings[:15]) is None, "too few for its neighbourhoods"


@pytest.mark.parametrize("embeddings", [np.zeros((2, 4)), np.full((N, 4), np.nan)], ids=["two clips", "not finite"])
def test_what_cannot_be_projected_has_no_map(embeddings: np.ndarray) -> None:
    assert made(embeddings) is None


def test_umap_itself_gives_the_same_map_twice() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    embeddings = np.random.default_rng(0).normal(size=(40, 8))
    first, second = umap(embeddings), umap(embeddings)
    assert first is not None and second is not None and first.shape == (40, 2)
    np.testing.assert_array_equal(first, second)
