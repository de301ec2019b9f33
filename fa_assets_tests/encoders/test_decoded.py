"""Clips that are kept decoded for other encoders: the same samples, decoded once, on a disk that has room or not."""

import errno
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fa_assets.audio.decode import BadClipError, load_mono
from fa_assets.encoders import decoded as module
from fa_assets.encoders.decoded import DecodedClips, decode_crops
from fa_assets.encoders.embed_clips import Clip, LocalEngine
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets_tests.encoders.test_embed_clips import CountingEncoder, make_clip


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    rates = (32_000, 16_000, 44_100)
    return [make_clip(tmp_path, f"{i}.wav", seconds, i, rates[i % 3]) for i, seconds in enumerate((0.5, 12, 3, 33, 10))]


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clips that were decoded."""
    found: list[str] = []
    stream_mono = module.stream_mono

    def noted(path: Path, *how: Any) -> Iterator[np.ndarray]:
        found.append(path.name)
        return stream_mono(path, *how)

    monkeypatch.setattr(module, "stream_mono", noted)
    return found


def crops_of(clip: Clip, kept: DecodedClips, rate: int = 32_000, length: int = 16_000) -> np.ndarray:
    starts = range(0, clip.samples_at(rate), length)
    return decode_crops(clip, [CropKey(clip.sha256, rate, start, length) for start in starts], kept)


def test_each_is_decoded_once_for_a_rate_and_comes_back_bit_for_bit(
    clips: list[Clip], tmp_path: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE", 10_000)
    kept = DecodedClips(tmp_path)
    first = [crops_of(clip, kept) for clip in clips]
    assert sorted(decodings) == [clip.fname for clip in clips]
    for clip, crops in zip(clips, first, strict=True):
        samples = load_mono(clip.path, 32_000)
        np.testing.assert_array_equal(crops.ravel()[: len(samples)], samples)
        np.testing.assert_array_equal(crops_of(clip, kept), crops)
        other = crops_of(clip, kept, length=7_000)  # another encoder's window
        np.testing.assert_array_equal(other.ravel()[: len(samples)], samples)
    assert len(decodings) == len(clips)
    crops_of(clips[0], kept, rate=16_000)
    assert decodings[len(clips) :] == [clips[0].fname], "another rate is decoded by itself"


def test_what_finds_no_room_is_decoded_again(
    clips: list[Clip], tmp_path: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    small, broken = DecodedClips(tmp_path), DecodedClips(tmp_path)
    small._room = 4 * clips[0].samples_at(32_000)
    for kept in (small, broken):
        before = len(decodings)
        for _ in range(2):
            for clip in clips[:2]:
                assert crops_of(clip, kept).any()
        again = [clips[1].fname] if kept is small else [clip.fname for clip in clips[:2]]
        assert decodings[before:] == [clip.fname for clip in clips[:2]] + again
        monkeypatch.setattr(module, "write_at", full)


def test_a_clip_that_changed_or_is_cut_is_never_kept(clips: list[Clip], tmp_path: Path) -> None:
    kept = DecodedClips(tmp_path)
    before = crops_of(clips[0], kept)
    for clip in clips[:2]:
        clip.path.write_bytes(clips[4].path.read_bytes())
    np.testing.assert_array_equal(crops_of(clips[0], kept), before)  # of the bytes that the crops are stored under
    for _ in range(2):
        with pytest.raises(BadClipError, match="its bytes changed"):
            crops_of(clips[1], kept)
    wrong = Clip(clips[2].fname, clips[2].path, clips[2].sha256, clips[2].sample_rate, clips[2].frames - 5)
    for _ in range(2):
        with pytest.raises(BadClipError, match="expected"):
            crops_of(wrong, kept)


def test_threads_share_it(clips: list[Clip], tmp_path: Path, decodings: list[str]) -> None:
    kept = DecodedClips(tmp_path)
    work = [(clip, [CropKey(clip.sha256, 32_000, 0, 320_000)]) for clip in clips]
    stores = [EmbeddingStore(tmp_path / name, "encoder") for name in ("a", "b")]
    for store in stores:
        engine = LocalEngine(CountingEncoder(), 3, partial(decode_crops, decoded=kept))
        assert engine.compute(work, store, lambda keys: None) == []
    assert len(decodings) == len(clips)
    keys = [key for _, own in work for key in own]
    a, b = (store.load(keys) for store in stores)
    assert all(np.array_equal(a[key], b[key]) for key in keys)
