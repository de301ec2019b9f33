"""The reference implementation is imported and run without a download, a file or a word."""

import os
import subprocess
import sys

import pytest

from benchmarks.reference import reference_tagger
from fa_assets.encoders.cnn14.checkpoint import CheckpointError

USE = """
import sys
from pathlib import Path
import numpy as np
from benchmarks.reference import reference_tagger
tagger = reference_tagger(Path(sys.argv[1]))
clipwise, embedding = tagger.inference(np.zeros((1, 32_000), np.float32))
assert clipwise.shape == (1, 527) and embedding.shape == (1, 2048)
assert "matplotlib" not in sys.modules
"""


def test_nothing_is_downloaded_written_or_printed(full_checkpoint, tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
        folder.chmod(0o500)
    before = sorted(full_checkpoint.parent.iterdir())
    kept = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    here = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", USE, str(full_checkpoint)],
        env={**kept, **here, "HOME": str(home), "PATH": str(work), "TMPDIR": str(work)},
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == [] and list(work.iterdir()) == []
    assert sorted(full_checkpoint.parent.iterdir()) == before


def test_a_file_it_would_replace_is_refused(small_checkpoint, tmp_path):
    size = small_checkpoint.stat().st_size
    for path in (small_checkpoint, tmp_path / "nowhere.pth"):
        with pytest.raises(CheckpointError, match="not a whole CNN14"):
            reference_tagger(path)
    assert small_checkpoint.stat().st_size == size
