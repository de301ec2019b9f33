"""A lock that another process holds is said, and not waited for without end."""

from pathlib import Path

import pytest
from filelock import FileLock

from fa_assets.errors import UserError
from fa_assets.store import locks
from fa_assets.store.locks import locked


def test_a_lock_held_elsewhere_is_said_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "_AT_ONCE_S", 0.01)
    path = tmp_path / "lock"
    with (
        FileLock(path),
        pytest.raises(UserError, match=f"been fetching x.* and holds {path}: wait until it is done, or end it"),
        locked(path, "fetching x", 0.1),
    ):
        raise AssertionError("it is held")
    assert "Another process is fetching x" in caplog.text
    with locked(path, "fetching x", 0.1), locked(tmp_path / "other", "fetching y", 0.1):
        pass
