"""Clips that are not independent share a unit: of a group, of the same bytes, or linked by such."""

import pytest

from fa_assets.metrics.units import independent_units


@pytest.mark.parametrize(
    ("groups", "digests", "expected"),
    [
        pytest.param(["", None, ""], "abc", [0, 1, 2], id="each-alone"),
        pytest.param(["x", "y", "x", ""], "abcd", [0, 1, 0, 2], id="groups"),
        pytest.param(["", "", ""], "aba", [0, 1, 0], id="twins"),
        pytest.param(["x", "y", "y", "", "z"], "abcad", [0, 1, 1, 0, 2], id="a-twin-outside-its-group"),
        pytest.param(["x", "y", "z"], "aab", [0, 0, 1], id="groups-linked-by-twins"),
        pytest.param(["a", ""], "ba", [0, 1], id="a-group-named-like-a-digest"),
    ],
)
def test_units(groups: list[str | None], digests: str, expected: list[int]) -> None:
    assert independent_units(groups, list(digests)).tolist() == expected
