"""Tests of encoders whose libraries are extras."""

import importlib.util
import os

import pytest


def needs(module: str) -> pytest.MarkDecorator:
    """Skips where it is not installed; there the test fails where FA_REQUIRE_CLUSTER is set."""
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None and not os.environ.get("FA_REQUIRE_CLUSTER"),
        reason=f"{module} is not installed: make install-cluster",
    )
