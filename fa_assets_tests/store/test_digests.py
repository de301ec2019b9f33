"""Files are hashed again only when they may have changed."""

import hashlib
from pathlib import Path

import pytest

from fa_assets.store import digests
from fa_assets.store.digests import DigestMemory


def test_a_settled_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, file = tmp_path / "digests.json", tmp_path / "a.wav"

    def find() -> tuple[str, bool]:
        now = DigestMemory(memory)
        digest, was_read = now.find(file)
        now.save()
        return digest.sha256, was_read

    file.write_bytes(b"first")
    first = hashlib.sha256(b"first").hexdigest()
    assert [find(), find()] == [(first, True)] * 2  # it may change within the same tick
    monkeypatch.setattr(digests, "_TICK_NS", -(2**62))
    assert [find(), find()] == [(first, True), (first, False)]
    file.write_bytes(b"other")
    assert find() == (hashlib.sha256(b"other").hexdigest(), True)
    memory.write_text('{"a": [1, 2]}')
    assert find()[1] is True
