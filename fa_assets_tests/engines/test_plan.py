"""How work is cut into batches and what is asked of a cluster; nothing here needs Ray."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fa_assets.engines.cluster import require_ray
from fa_assets.engines.ray_data import plan_batches
from fa_assets.engines.share import RayOptions, share_of
from fa_assets.engines.workers import batch_row, decode_batch, samples_of
from fa_assets.errors import UserError
from fa_assets.panns.embed_clips import Clip
from fa_assets.runner import prepare_environment
from fa_assets.settings import Settings
from fa_assets.storage.embedding_store import CropKey


def work(*sizes: int) -> list[tuple[Clip, list[CropKey]]]:
    return [
        (Clip(str(i), Path(str(i)), str(i), 32_000, 1), [CropKey(str(i), start, 320_000) for start in range(size)])
        for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([5, 5, 5], [[5], [5], [5]]),
        ([3, 5, 1, 1, 6], [[3, 5], [1, 1, 6]]),
        ([20, 1], [[8], [8], [4, 1]]),
    ],
)
def test_clips_stay_whole_in_batches_of_eight_unless_they_are_larger(
    sizes: list[int], batches: list[list[int]]
) -> None:
    planned = plan_batches(work(*sizes), 8 if sizes != [5, 5, 5] else 7)
    assert [[len(keys) for _, keys in batch] for batch in planned] == batches
    assert [key for batch in planned for _, keys in batch for key in keys] == [
        key for _, keys in work(*sizes) for key in keys
    ]


@pytest.mark.parametrize(
    ("options", "device", "cpus", "gpus", "actors", "gpus_each", "decoders"),
    [
        (RayOptions(), "auto", 8, 0, 8, 0, 8),
        (RayOptions(), "auto", 16, 4, 4, 1, None),
        (RayOptions(), "cpu", 16, 4, 16, 0, 16),
        (RayOptions(actor_gpus=0.5), "cuda", 16, 4, 8, 0.5, None),
        (RayOptions(actor_cpus=3, decode_cpus=1), "auto", 8, 0, 2, 0, None),
        (RayOptions(max_actors=3, min_actors=5), "auto", 8, 0, 3, 0, 3),
    ],
)
def test_the_pool_is_as_large_as_the_cluster_has_room_for(
    options: RayOptions, device: str, cpus: float, gpus: float, actors: int, gpus_each: float, decoders: int | None
) -> None:
    share = share_of(options, device, cpus, gpus)
    assert (share.max_actors, share.actor_gpus, share.decoders) == (actors, gpus_each, decoders)
    assert share.min_actors <= share.max_actors


@pytest.mark.parametrize(("device", "cpus", "gpus"), [("auto", 0.5, 0), ("cuda", 8, 0)])
def test_a_cluster_that_has_too_little_is_said(device: str, cpus: float, gpus: float) -> None:
    with pytest.raises(UserError, match=rf"has {cpus:g} CPUs and {gpus:g} GPUs, and an actor and a decoder need"):
        share_of(RayOptions(), device, cpus, gpus)


def test_samples_travel_as_they_are_without_their_padding_and_are_not_copied() -> None:
    def ramp(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
        crops = np.zeros((len(keys), 320_000), np.float32)
        crops[:, : clip.n_samples] = np.arange(clip.n_samples) + int(clip.fname)
        return crops

    clips = [Clip(str(i), Path(str(i)), str(i), 32_000, 5 + i) for i in range(3)]
    rows = [batch_row(i, [(clip, [CropKey(clip.sha256, 0, 320_000)])]) for i, clip in enumerate(clips)]
    tables = [decode_batch(pa.Table.from_pylist([row]), ramp) for row in rows]
    for table, clip in zip(tables, clips, strict=True):
        np.testing.assert_array_equal(samples_of(table), np.arange(clip.n_samples) + int(clip.fname))
    together = pa.concat_tables(tables).combine_chunks()
    second = samples_of(together.slice(1, 1))
    np.testing.assert_array_equal(second, np.arange(6) + 1)
    assert second.ctypes.data == together["samples"].chunk(0).buffers()[2].address + 5 * 4


def test_without_the_extra_the_setting_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'fa_assets\[ray\]'"):
        require_ray()
    with pytest.raises(UserError, match=r"pip install 'fa_assets\[ray\]'"):
        prepare_environment(Settings(engine="ray", dataset=tmp_path, storage=tmp_path))
