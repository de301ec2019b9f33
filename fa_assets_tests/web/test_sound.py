"""Clips as they are played and pictured."""

import io

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from fa_assets_tests.web.conftest import Reviewed


def sound(reviewed: Reviewed, fname: str, **headers: str):  # type: ignore[no-untyped-def]
    return reviewed.client.get("/review/sound", params={"fname": fname}, headers=headers)


def test_a_clip_is_served_whole_as_it_is(reviewed: Reviewed) -> None:
    answer = sound(reviewed, "05.wav")
    assert answer.status_code == 200
    assert answer.content == (reviewed.clips / "05.wav").read_bytes()
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("range", "part"), [("bytes=10-19", slice(10, 20)), ("bytes=-5", slice(-5, None)), ("bytes=7-", slice(7, None))]
)
def test_a_part_is_served_where_a_part_is_asked_for(reviewed: Reviewed, range: str, part: slice) -> None:
    whole = (reviewed.clips / "05.wav").read_bytes()
    answer = sound(reviewed, "05.wav", range=range)
    assert answer.status_code == 206
    assert answer.content == whole[part]
    start, end, _ = part.indices(len(whole))
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(whole)}"


def test_a_range_beyond_the_end_is_refused(reviewed: Reviewed) -> None:
    assert sound(reviewed, "05.wav", range="bytes=99999999-").status_code == 416


@pytest.mark.parametrize("kind", ["sound", "spectrogram"])
@pytest.mark.parametrize(
    "fname",
    [
        "",
        "none.wav",
        "../train_curated.csv",
        "..",
        "/etc/passwd",
        "../test/t0.wav",
        "./05.wav",
        "train_curated/05.wav",
        "05.wav\x00",
    ],
)
def test_nothing_is_served_that_is_not_in_the_table(reviewed: Reviewed, kind: str, fname: str) -> None:
    answer = reviewed.client.get(f"/review/{kind}", params={"fname": fname})
    assert answer.status_code == 404
    assert "no such clip" in answer.text


def test_a_link_out_of_the_folder_is_not_followed_where_none_may_be(reviewed: Reviewed) -> None:
    from fa_assets_tests.web.conftest import served

    secret = reviewed.settings.dataset.parent / "secret.wav"
    (reviewed.clips / "05.wav").rename(secret)
    (reviewed.clips / "05.wav").symlink_to(secret)
    assert sound(reviewed, "05.wav").content == secret.read_bytes()
    strict = served(reviewed.settings.model_copy(update={"links": "refuse"}), reviewed.scratch)
    answer = strict.get("/review/sound", params={"fname": "05.wav"})
    assert answer.status_code == 404
    assert "leads out of the folder" in answer.text


def test_a_clip_that_is_gone_is_said(reviewed: Reviewed) -> None:
    (reviewed.clips / "05.wav").unlink()
    answer = sound(reviewed, "05.wav")
    assert answer.status_code == 404
    assert "no longer in" in answer.text


def test_what_no_browser_plays_is_decoded(reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same bytes as were evaluated; here the small set's own clips, as if browsers played no WAV."""
    monkeypatch.setattr("fa_assets.web.sound._PLAYED", {})
    samples, rate = soundfile.read(reviewed.clips / "01.wav")
    answer = sound(reviewed, "01.wav", range="bytes=0-")
    heard, heard_rate = soundfile.read(io.BytesIO(answer.content))
    assert answer.status_code == 206
    assert heard_rate == 32_000
    assert len(heard) / heard_rate == pytest.approx(len(samples) / rate, abs=1e-3)
    assert [one.suffix for one in reviewed.scratch.iterdir()] == [".wav"]
    sound(reviewed, "01.wav")
    assert len(list(reviewed.scratch.iterdir())) == 1
    (reviewed.clips / "02.wav").write_bytes((reviewed.clips / "01.wav").read_bytes())
    answer = sound(reviewed, "02.wav")
    assert answer.status_code == 404
    assert "its bytes changed" in answer.text


@pytest.mark.parametrize(
    ("format", "subtype", "played"),
    [
        ("WAV", "PCM_16", "audio/wav"),
        ("FLAC", "PCM_16", "audio/flac"),
        ("OGG", "VORBIS", "audio/ogg"),
        ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
        ("AIFF", "PCM_16", None),
        ("WAV", "IMA_ADPCM", None),
        ("W64", "PCM_16", None),
        ("CAF", "PCM_16", None),
    ],
)
def test_what_browsers_play_is_known_by_its_bytes(tmp_path, format: str, subtype: str, played: str | None) -> None:  # type: ignore[no-untyped-def]
    from fa_assets.web.sound import _media_type

    path = tmp_path / "clip.raw"
    with path.open("wb") as file:
        soundfile.write(file, np.zeros(3200), 32_000, format=format, subtype=subtype)
    assert _media_type(path) == played


def test_the_spectrogram_shows_a_tone_where_it_is(reviewed: Reviewed) -> None:
    """01.wav is noise, 04.wav a tone: of the tone, the loudest row is that of its frequency."""
    from fa_assets.web.sound import _HOP, _mel

    answer = reviewed.client.get("/review/spectrogram", params={"fname": "04.wav"})
    assert answer.headers["content-type"] == "image/png"
    picture = imread(io.BytesIO(answer.content), format="png")[:, :, :3].sum(axis=2)
    samples, rate = soundfile.read(reviewed.clips / "04.wav")
    spectrum = np.abs(np.fft.rfft(samples))
    hz = float(np.argmax(spectrum) * rate / len(samples))
    share = (_mel(hz) - _mel(30)) / (_mel(16_000) - _mel(30))
    loudest = len(picture) - 1 - int(np.argmax(picture.mean(axis=1)))
    assert loudest == pytest.approx(share * len(picture), abs=2)
    assert picture.shape[1] == pytest.approx(len(samples) / rate * 32_000 / _HOP, abs=1.5)


def test_a_long_clip_has_a_picture_of_a_thousand_columns_at_most(reviewed: Reviewed) -> None:
    answer = reviewed.client.get("/review/spectrogram", params={"fname": "07.wav"})
    assert 500 < imread(io.BytesIO(answer.content), format="png").shape[1] <= 1000
