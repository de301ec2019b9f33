"""The embeddings of a crop scheme, a fold at a time or all in one run; and of the test clips."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import SCHEMES, CropScheme
from fa_assets.encoders.clip import Clip
from fa_assets.encoders.embed_clips import Engine, embed_clips
from fa_assets.encoders.registry import find_encoder
from fa_assets.graph import clip_tables, tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.engine import EngineOptions, check_engine, open_engine
from fa_assets.graph.model import read_weights
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.clip_files import clip_paths
from fa_assets.progress import ProgressCallback
from fa_assets.store.embedding_store import EmbeddingStore, list_column
from fa_assets.store.recipe import Scalar

GPU_POOL = "gpu"
_CLIP_COLUMNS = ("sha256", "sample_rate", "frames")


def embeddings_asset(scheme: str, engine: EngineOptions, folds: Asset, weights: Asset) -> Asset:
    """`<scheme>_embeddings`."""
    card = engine.card
    return Asset(
        f"{engine.prefix}{scheme}_embeddings",
        "embeddings",
        partial(embed_folds, scheme=SCHEMES[scheme], engine=engine),
        tables.EMBEDDINGS,
        version="3",
        reads={"folds": folds, "weights": weights},
        settings=_settings(scheme, engine),
        kinds=frozenset({engine.card.framework, "parquet"}),
        description=f"{card.title}'s {card.dimension}-d embedding (float32, no unit) of every clip in the fold, one row per "
        f"clip in the order of the label CSV: {card.sample_rate / 1000:g} kHz mono, the mean over {card.crop_seconds:g} s "
        f"crops {SCHEMES[scheme].description}, zero-padded when shorter. Crops that are in the embedding store already are not "
        "computed again.",
        by_fold=True,
        pool=GPU_POOL,
        priority=engine.priority,
    )


def test_embeddings_asset(scheme: str, engine: EngineOptions, clips: Asset, weights: Asset) -> Asset:
    """`test_embeddings`."""
    return Asset(
        f"{engine.prefix}test_embeddings",
        "submission",
        partial(embed_test_clips, scheme=SCHEMES[scheme], engine=engine),
        tables.TEST_EMBEDDINGS,
        version="2",
        reads={"clips": clips, "weights": weights},
        settings=_settings(scheme, engine),
        kinds=frozenset({engine.card.framework, "parquet"}),
        description=f"As {scheme}_embeddings, for the test clips: the same crops, encoder and embedding store. They have "
        "no folds.",
        pool=GPU_POOL,
        priority=engine.priority,
    )


def embed_folds(
    work: Work, folds: Stored, weights: Stored, *, scheme: CropScheme, engine: EngineOptions
) -> Iterator[Made]:
    """The embeddings of every fold of the run; see the description of the asset."""
    table = folds.table
    fold_of = table["fold"].to_numpy()
    folder = work.dataset.layout.clips_folder
    with _opened(work, weights, scheme, engine) as embed:
        for fold in work.partitions:
            own = table.take(np.flatnonzero(fold_of == int(fold or 0)))
            yield replace(embed(own, folder, tables.EMBEDDINGS, f"fold {fold}"), fold=fold)


def embed_test_clips(
    work: Work, clips: Stored, weights: Stored, *, scheme: CropScheme, engine: EngineOptions
) -> Iterator[Made]:
    """The embeddings of the test clips; see the description of the asset."""
    folder = work.dataset.layout.test_folder
    with _opened(work, weights, scheme, engine) as embed:
        yield embed(clips.table, folder, tables.TEST_EMBEDDINGS, "")


@contextmanager
def _opened(
    work: Work, weights: Stored, scheme: CropScheme, options: EngineOptions
) -> Iterator[Callable[[pa.Table, Path, pa.Schema, str], Made]]:
    """The engine with these weights, as a function that embeds the clips of a table."""
    check_engine(options)
    checkpoint = read_weights(weights)
    recipe = options.recipe(checkpoint)
    store = EmbeddingStore(work.root, recipe.fingerprint)
    with open_engine(options, recipe, work.run_id, work.recorder.local_root) as engine:
        yield partial(_embed, work, engine, store, scheme, options, checkpoint.trained)


def _settings(scheme: str, engine: EngineOptions) -> dict[str, Scalar]:
    """What embeddings depend on besides their inputs."""
    return {
        "encoder": engine.encoder,
        "encoder_version": find_encoder(engine.encoder).version,
        "scheme": scheme,
        "precision": engine.precision,
    }


def _embed(
    work: Work,
    engine: Engine,
    store: EmbeddingStore,
    scheme: CropScheme,
    options: EngineOptions,
    weights_trained: bool,
    clips: pa.Table,
    folder: Path,
    schema: pa.Schema,
    part: str,
) -> Made:
    """The embeddings of some clips.

    Args:
        clips: rows of folds or test_clips, which lie in `folder`.
        schema: of the value.
        part: what of the asset they are, for the log.
    """
    from fa_assets.report.embeddings import projection, throughput

    watch = Stopwatch(work.track("clips", part))
    with work.phase("embed"):
        paths = clip_paths(folder, clips["fname"].to_pylist(), work.dataset.layout.limits)
        result = embed_clips(engine, _clips_of(clips, paths), scheme, store, options.card, progress=watch)
    reused, crops = result.crops_reused, result.crops_computed + result.crops_reused
    work.log.info(f"{part}: {clips.num_rows} clips, {result.crops_computed} crops computed, {reused} reused")
    labels = [own or ["?"] for own in clips["labels"].to_pylist()]
    drawn = work.draw(
        {
            "throughput": partial(throughput, watch.moments if result.crops_computed else ()),
            "projection": partial(projection, result.vectors, labels),
        }
    )
    return Made(
        pa.table([clips["fname"], list_column(result.vectors)], schema=schema),
        facts={
            "clips": clips.num_rows,
            "clips_computed": result.clips_computed,
            "crops_computed": result.crops_computed,
            "crops_reused": reused,
            "crops_reused_share": round(reused / crops, 4) if crops else None,
            "clips_per_second": round(result.clips_computed / result.seconds, 2) if result.crops_computed else None,
            "weights_trained": weights_trained,
            "encoder_fingerprint": store.fingerprint,
        },
        details={"encoder": options.encoder, "encoder_fingerprint": store.fingerprint},
        display=drawn,
        environment={**engine.environment, "precision": options.precision},
    )


def _clips_of(table: pa.Table, paths: Sequence[Path]) -> list[Clip]:
    columns = (
        table["fname"].to_pylist(),
        paths,
        *(table[name].to_pylist() for name in _CLIP_COLUMNS),
        clip_tables.decoders(table),
    )
    return [Clip(*fields) for fields in zip(*columns, strict=True)]


class Stopwatch:
    """A progress callback that passes on what it is told and remembers when: (seconds since the start, clips done)."""

    def __init__(self, inner: ProgressCallback) -> None:
        self._inner = inner
        self._started = time.perf_counter()
        self.moments: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.moments.append((time.perf_counter() - self._started, done))
        self._inner(done, total)
