import logging

import pytest

from fa_assets.report.content import _drawn
from fa_assets.report.picture import Picture


def test_a_picture_that_cannot_be_drawn_is_a_warning_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Picture:
        raise ValueError("too many marks")

    good = Picture("Good", "a good one", "<svg/>")
    with caplog.at_level(logging.WARNING):
        assert _drawn(True, lambda: good, fail, lambda: None) == [good]
    assert "could not be drawn: ValueError: too many marks" in caplog.text
    assert _drawn(False, lambda: good, fail) == []
