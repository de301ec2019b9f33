import logging

import pytest

from fa_assets.graph.display import pictures
from fa_assets.report.picture import Picture


def test_a_picture_that_cannot_be_drawn_costs_a_warning_and_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Picture:
        raise ValueError("too many marks")

    painters = {"good": lambda: Picture("Good", "a [good] one", "<svg/>"), "bad": fail, "none": lambda: None}
    shown = pictures(True, logging.getLogger("run"), painters)
    assert set(shown) == {"good"}
    assert shown["good"].value.startswith("![a (good) one](data:image/svg+xml;base64,")
    assert "The picture bad could not be drawn: ValueError: too many marks" in caplog.text
