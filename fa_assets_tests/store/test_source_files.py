"""Files that are there, are not, or are something else."""

from pathlib import Path

import pytest

from fa_assets.store.source_files import SourceFileError, is_file


def test_a_file_is_there_or_is_not_or_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert is_file(tmp_path / "a.wav") and not is_file(tmp_path / "b.wav")
    with pytest.raises(SourceFileError, match="not a file"):
        is_file(tmp_path)
