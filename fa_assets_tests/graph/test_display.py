import logging
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.graph.display import pictures, shown
from fa_assets.graph.experiments import contenders_table
from fa_assets.report.picture import Picture


def test_a_picture_that_cannot_be_drawn_costs_a_warning_and_not_the_run(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail() -> Picture:
        raise ValueError("too many marks")

    painters = {"good": lambda: Picture("Good", "a [good] one", "<svg/>"), "bad": fail, "none": lambda: None}
    shown = pictures(logging.getLogger("run"), painters, tmp_path)
    (file,) = tmp_path.rglob("*.svg")
    assert file.read_text() == "<svg/>"
    address = f"/pictures/{file.name}"
    assert {name: one.value for name, one in shown.items()} == {"good": f"[![a (good) one]({address})]({address})"}
    assert "The picture bad could not be drawn: ValueError: too many marks" in caplog.text


def test_numbers_are_shown_for_people() -> None:
    raw = {
        "lwlrap": 0.6718419312,
        "iterations_max": 123_456,
        "samples": 12_345.6,
        "crops_reused_share": 0.8,
        "share_of_resamples_won": 0.54251,
        "size_bytes": 327_438_439,
        "trained": False,
        "corpus": None,
        "seconds": 754.3,
    }
    assert shown(raw) == {
        "lwlrap": 0.6718,
        "iterations_max": 123_456,
        "samples": 12_346.0,
        "crops_reused_percent": 80.0,
        "percent_of_resamples_won": 54.25,
        "size_mb": 327.4,
        "trained": False,
        "seconds": 754.3,
        "minutes": 12.57,
    }


def test_numbers_in_the_result_of_a_check_are_too() -> None:
    result = dg.AssetCheckResult(passed=True, metadata={"chance": 0.2885710903679654, "clips": 80})
    assert shown(result.metadata) == {"chance": 0.2886, "clips": 80}


def test_contenders_are_shown_with_the_intervals_that_hold_for_all_at_once() -> None:
    own = {"lwlrap": 0.5, "difference": 0.1, "low": 0.05, "high": 0.15, "units": 80, "share_won": 0.9}
    rows = [
        {"blend": "mean", **own, "low_of_all": -0.02, "high_of_all": 0.22, "chosen": []},
        {"blend": "nested", **own, "low_of_all": None, "high_of_all": None, "chosen": ["mean"] * 5},
    ]
    table = contenders_table("blend", rows)
    assert table is not None
    assert [one.data for one in table.records] == [
        {"blend": "mean", "lwlrap": 0.5, "difference (95%)": "+0.1000 (-0.0200 to +0.2200)"},
        {"blend": "nested", "lwlrap": 0.5, "difference (95%)": "+0.1000 (+0.0500 to +0.1500)"},
    ]
