import base64
import io
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fa_assets.report.snippets import SECONDS, LocalClip, snippet, snippets
from fa_assets.store.atomic import digest_file


def clip(folder: Path, name: str, seconds: float = 6.0) -> LocalClip:
    path = folder / name
    t = np.arange(round(seconds * 44_100)) / 44_100
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * t), 44_100)
    return LocalClip(name, path, digest_file(path).sha256)


def test_a_snippet_is_the_clips_beginning_as_it_was_heard(tmp_path: Path) -> None:
    sound = snippet(clip(tmp_path, "a.wav"))
    assert sound is not None
    kind, _, content = sound.partition(";base64,")
    assert kind == "data:audio/flac"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert (rate, samples.shape) == (32_000, (round(SECONDS * 32_000),))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 32_000)
    np.testing.assert_allclose(samples[100:-100], expected[100:-100], atol=1e-3)
    assert snippet(clip(tmp_path, "a.wav")) == sound


def test_a_clip_that_is_gone_changed_or_broken_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed, gone, broken = (clip(tmp_path, name) for name in ("changed.wav", "gone.wav", "broken.wav"))
    changed.path.write_bytes(changed.path.read_bytes() + b"x")
    gone.path.unlink()
    broken.path.write_bytes(b"RIFF")
    with caplog.at_level(logging.WARNING):
        assert [snippet(one) for one in (changed, gone)] == [None, None]
        assert snippet(LocalClip("broken.wav", broken.path, digest_file(broken.path).sha256)) is None
    assert all(name in caplog.text for name in ("changed.wav", "gone.wav", "broken.wav"))


def test_the_first_clips_that_are_here_are_taken_once_each(tmp_path: Path) -> None:
    clips = [clip(tmp_path, name, 0.2) for name in ("a.wav", "b.wav", "c.wav")]
    clips[0].path.unlink()
    assert list(snippets([clips[0], clips[1], clips[1], clips[2]], limit=2)) == ["b.wav", "c.wav"]
    assert list(snippets(clips, limit=1)) == ["b.wav"]
