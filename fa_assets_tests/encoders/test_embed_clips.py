"""From clips to embeddings through the store: each crop once, never under a wrong name, with a stand-in network that
embeds a crop as numbers one can check."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fa_assets.audio.crops import SCHEMES
from fa_assets.audio.decode import inspect_clip, load_mono
from fa_assets.encoders import embed_clips as module
from fa_assets.encoders.clip import Clip
from fa_assets.encoders.decoded import decode_crops
from fa_assets.encoders.embed_clips import embed_once
from fa_assets.errors import BadInputError, UserError
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets_tests.audio.encoded import encode, tone
from fa_assets_tests.encoders.stand_ins import CARD, SumEncoder, embed_here

MC5, CENTER = SCHEMES["mc5"], SCHEMES["center"]


class CountingEncoder:
    """Embeds a crop as (sum, absolute sum, content length); counts the crops it was given."""

    batch_size = 4
    card = CARD
    device = device_name = "cpu"

    def __init__(self, fail_after: int | None = None) -> None:
        self.crops = 0
        self.loads = 0
        self._fail_after = fail_after

    def __call__(self) -> "CountingEncoder":
        self.loads += 1
        return self

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        if self._fail_after is not None and self.crops >= self._fail_after:
            raise RuntimeError("killed")
        assert crops.shape[1] == CARD.crop_samples
        assert crops.dtype == np.float32
        assert lengths is not None
        assert not any(crop[length:].any() for crop, length in zip(crops, lengths, strict=True))
        self.crops += len(crops)
        return np.stack([crops.sum(axis=1), np.abs(crops).sum(axis=1), np.float32(lengths)], axis=1).astype(np.float32)


def make_clip(folder: Path, fname: str, seconds: float, seed: int, rate: int = 32_000, loud: float = 0.5) -> Clip:
    samples = np.random.default_rng(seed).uniform(-loud, loud, max(1, round(seconds * rate)))
    soundfile.write(folder / fname, samples, rate)
    info = inspect_clip(folder / fname, may_be_silent=True)
    return Clip(fname, folder / fname, info.sha256, info.sample_rate, info.frames)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    return [
        make_clip(tmp_path, f"{i}.wav", seconds, i, rate)
        for i, (seconds, rate) in enumerate([(0.5, 32_000), (25, 16_000), (10, 32_000), (3, 44_100), (11, 32_000)])
    ]


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "storage", "encoder")


def expected(clip: Clip) -> np.ndarray:
    """The mean over five crops, written out."""
    samples = load_mono(clip.path, CARD.sample_rate)
    slack = max(0, len(samples) - CARD.crop_samples)
    parts = []
    for start in (0, slack // 2, slack, int(0.25 * slack), int(0.75 * slack)):
        crop = samples[start : start + CARD.crop_samples]
        parts.append([crop.sum(), np.abs(crop).sum(), len(crop)])
    return np.mean(parts, axis=0)


def test_the_mean_over_five_crops_in_the_order_of_the_clips(clips: list[Clip], store: EmbeddingStore) -> None:
    encoder = CountingEncoder()
    result = embed_here(clips, MC5, store, encoder, CARD)
    assert result.vectors.dtype == np.float32
    np.testing.assert_allclose(result.vectors, [expected(clip) for clip in clips], rtol=1e-4, atol=1e-2)
    # Three clips of at most 10 s have one distinct crop each, the two longer ones five.
    assert (encoder.crops, result.crops_computed, result.crops_reused) == (13, 13, 0)


def test_tiles_are_the_mean_over_the_whole_clip(clips: list[Clip], store: EmbeddingStore) -> None:
    encoder = CountingEncoder()
    vectors = embed_here(clips, SCHEMES["tiles"], store, encoder, CARD).vectors
    for clip, vector in zip(clips, vectors, strict=True):
        samples = load_mono(clip.path, CARD.sample_rate)
        n_tiles = -(-len(samples) // CARD.crop_samples)
        total = [samples.sum(), np.abs(samples).sum(), len(samples)]
        np.testing.assert_allclose(vector * n_tiles, total, rtol=1e-4, atol=1e-2)
    assert encoder.crops == 8, "25 s and 11 s make three and two, the others one each"


def test_what_is_in_the_store_is_not_computed_again_and_loads_no_network(
    clips: list[Clip], store: EmbeddingStore
) -> None:
    first = embed_here(clips, MC5, store, CountingEncoder(), CARD)
    again = CountingEncoder()
    second = embed_here(clips, MC5, store, again, CARD)
    np.testing.assert_array_equal(second.vectors, first.vectors)
    assert (again.loads, second.crops_computed, second.crops_reused) == (0, 0, 13)
    center = embed_here(clips, CENTER, store, again, CARD)
    assert (again.loads, center.crops_computed, center.crops_reused) == (0, 0, 5)


def test_clips_with_many_crops_are_decoded_one_at_a_time(
    clips: list[Clip], store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most as many samples wait for the network as are allowed, or one clip that has more."""
    began: list[str] = []

    def decode(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
        began.append(clip.fname)
        return decode_crops(clip, keys)

    monkeypatch.setattr(module, "_SAMPLES_AHEAD", CARD.crop_samples)
    ahead = []
    for taken, ((clip, _), decoded) in enumerate(module._decode_ahead(work_of(clips), 3, decode)):
        decoded.result()
        ahead.append(began[taken:])
        assert ahead[-1][0] == clip.fname
    assert [len(names) for names in ahead] == [1, 1, 1, 1, 1]
    assert len(list(module._decode_ahead(work_of(clips), 3, decode))) == len(clips)


def work_of(clips: Sequence[Clip]) -> list[tuple[Clip, list[CropKey]]]:
    return [(clip, [CropKey(clip.sha256, CARD.sample_rate, 0, CARD.crop_samples)]) for clip in clips]


def test_a_clip_of_many_crops_is_decoded_for_some_at_a_time(
    clips: list[Clip], store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    tiles = SCHEMES["tiles"]
    whole = embed_once(clips[1], tiles, CountingEncoder())
    monkeypatch.setattr(module, "_SAMPLES_AT_ONCE", 2 * CARD.crop_samples)
    parts = [keys for clip, keys in module._work_of(clips, [key for key, _ in module._crops_of(clips, tiles, CARD)[1]])]
    assert [len(keys) for keys in parts] == [2, 1]
    np.testing.assert_array_equal(embed_once(clips[1], tiles, CountingEncoder()), whole)
    result = embed_here(clips, tiles, store, CountingEncoder(), CARD, progress=lambda *counts: seen.append(counts))
    np.testing.assert_array_equal(result.vectors[1], whole)
    assert (result.crops_computed, seen[-1]) == (8, (5, 5))


@pytest.mark.promise(
    "An embedding of what FFmpeg decoded is stored under FFmpeg's version too; those of other clips stay where they are.",
    "kept",
)
def test_the_decoder_is_a_part_of_the_key_where_it_is_not_libsndfile(
    clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.wv"
    path.write_bytes(encode("wv", "wavpack", tone(160_000, 16_000), 16_000))
    info = inspect_clip(path)
    clip = Clip("a.wv", path, info.sha256, info.sample_rate, info.frames, info.decoder)
    assert info.decoder is not None
    embed_here([clip, clips[2]], MC5, store, CountingEncoder(), CARD)
    keys = [
        CropKey(digest, CARD.sample_rate, 0, CARD.crop_samples)
        for digest in (
            hashlib.sha256(f"{clip.sha256} {clip.decoder}".encode()).hexdigest(),
            clip.sha256,
            clips[2].sha256,
        )
    ]
    assert store.missing(keys) == [keys[1]]
    with pytest.raises(BadInputError, match="a.wv: was inspected with PyAV 1, and PyAV .* may give other samples"):
        embed_here([replace(clip, decoder="PyAV 1")], MC5, store, CountingEncoder(), CARD)


@pytest.mark.parametrize("damaged", [1, 3])
def test_what_cannot_be_read_back_is_computed_again_and_refused_where_it_never_can(
    damaged: int, clips: list[Clip], store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, append = CountingEncoder(), store.append

    def lose(keys: Sequence[CropKey], embeddings: np.ndarray) -> None:
        path = append(keys, embeddings)
        if encoder.crops <= damaged:
            path.write_bytes(b"PAR1")

    monkeypatch.setattr(store, "append", lose)
    if damaged < 3:
        found = embed_here(clips[:1], MC5, store, encoder, CARD)
        np.testing.assert_allclose(found.vectors, [expected(clips[0])], rtol=1e-4, atol=1e-2)
        assert (encoder.crops, found.crops_computed) == (2, 1)
    else:
        with pytest.raises(UserError, match="1 crops were stored in .* and cannot be read back: check the disk"):
            embed_here(clips[:1], MC5, store, encoder, CARD)


def test_an_interrupted_run_goes_on_where_it_stopped(clips: list[Clip], store: EmbeddingStore, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        embed_here(clips, MC5, store, CountingEncoder(fail_after=8), CARD)
    rest = embed_here(clips, MC5, store, CountingEncoder(), CARD)
    assert (rest.crops_computed, rest.crops_reused) == (5, 8)
    whole = embed_here(clips, MC5, EmbeddingStore(tmp_path / "other", "encoder"), CountingEncoder(), CARD)
    np.testing.assert_array_equal(rest.vectors, whole.vectors)


def test_a_renamed_clip_and_a_copy_cost_nothing(clips: list[Clip], store: EmbeddingStore, tmp_path: Path) -> None:
    embed_here(clips[:2], MC5, store, CountingEncoder(), CARD)
    renamed = replace(clips[0], fname="renamed.wav", path=clips[0].path.rename(tmp_path / "renamed.wav"))
    result = embed_here(
        [renamed, clips[1], clips[3], replace(clips[3], fname="copy.wav")], MC5, store, CountingEncoder(), CARD
    )
    assert (result.crops_computed, result.crops_reused) == (1, 6)
    np.testing.assert_array_equal(result.vectors[2], result.vectors[3])


def test_clips_that_changed_or_went_are_all_named_and_the_rest_is_kept(
    clips: list[Clip], store: EmbeddingStore
) -> None:
    clips[0].path.write_bytes(clips[3].path.read_bytes())
    clips[2].path.unlink()
    with pytest.raises(BadInputError) as caught:
        embed_here(clips, MC5, store, CountingEncoder(), CARD)
    assert "0.wav: its bytes changed" in str(caught.value)
    assert "2.wav: no such file" in str(caught.value)
    assert embed_here([clips[1], clips[3], clips[4]], MC5, store, CountingEncoder(), CARD).crops_computed == 0


def test_clips_of_which_the_network_makes_nan_are_all_named_and_not_stored(
    clips: list[Clip], store: EmbeddingStore, tmp_path: Path
) -> None:
    silent = [make_clip(tmp_path, f"silent-{seconds}.wav", seconds, 0, loud=0) for seconds in (11, 2)]
    with pytest.raises(BadInputError) as caught:
        embed_here([*clips, *silent], MC5, store, SumEncoder(tmp_path / "notes"), CARD)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["silent-11.wav", "silent-2.wav"]
    assert "gives NaN or infinity" in str(caught.value)
    assert embed_here(clips, MC5, store, CountingEncoder(), CARD).crops_computed == 0
    with pytest.raises(BadInputError):
        embed_here(silent, MC5, store, SumEncoder(tmp_path / "notes"), CARD)


def test_progress_counts_clips_up_to_all(clips: list[Clip], store: EmbeddingStore) -> None:
    seen: list[tuple[int, int]] = []
    embed_here(clips, MC5, store, CountingEncoder(), CARD, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_the_card_does_not_say_is_refused_and_not_stored(clips: list[Clip], store: EmbeddingStore) -> None:
    card = replace(CARD, dimension=4)
    encoder = CountingEncoder()
    encoder.card = card
    with pytest.raises(UserError, match=r"gave \(4, 3\) float32 for 4 crops; its card says \(4, 4\)"):
        embed_here(clips, MC5, store, encoder, card)
    encoder.embed = lambda crops, lengths: None  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(UserError, match=r"gave NoneType  for 4 crops; its card says \(4, 4\)"):
        embed_here(clips, MC5, store, encoder, card)
    assert store.shards() == []
