import base64
import io
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from PIL import Image

from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.report.snippets import SECONDS, LocalClip, Snippet, local_clips, snippet, snippets
from fa_assets.store.atomic import digest_file


def clip(folder: Path, name: str, seconds: float = 6.0) -> LocalClip:
    path = folder / name
    t = np.arange(round(seconds * 44_100)) / 44_100
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * t), 44_100)
    return LocalClip(name, path, digest_file(path).sha256)


def test_a_snippet_is_the_clips_beginning_as_it_was_heard(tmp_path: Path) -> None:
    found = snippet(clip(tmp_path, "a.wav"))
    assert found is not None
    kind, _, content = found.sound.partition(";base64,")
    assert kind == "data:audio/mpeg"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert (rate, samples.shape) == (32_000, (round(SECONDS * 32_000),))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 32_000)
    np.testing.assert_allclose(samples[2000:-2000], expected[2000:-2000], atol=0.02)
    again = snippet(clip(tmp_path, "a.wav"))
    assert again is not None and (again.sound, again.spectrogram) == (found.sound, found.spectrogram)


@pytest.mark.parametrize(("hz", "row"), [(440, 57), (8000, 11)])
def test_a_spectrogram_is_brightest_where_the_tone_is(hz: float, row: int) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(64_000) / 32_000).astype(np.float32)
    kind, _, content = Snippet(tone).spectrogram.partition(";base64,")
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        shades = np.asarray(image)
    assert shades.shape == (64, 158)
    assert abs(int(shades.mean(axis=1).argmax()) - row) <= 1
    assert Snippet(tone[:100]).spectrogram.startswith(kind), "a clip shorter than a window"


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


def test_that_no_clip_is_here_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "train_curated").mkdir()
    table = pa.table({"fname": ["a.wav", "b.wav"], "sha256": ["1", "2"]})
    assert local_clips(KaggleDataset(tmp_path), table) == {}
    assert caplog.text.count("no clip is in") == 1
    clip(tmp_path / "train_curated", "b.wav", 0.2)
    assert list(local_clips(KaggleDataset(tmp_path), table)) == ["b.wav"]
