"""The embeddings of one crop scheme, a fold at a time or all in one run."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import dagster as dg
import pyarrow as pa

from fa_assets.audio.crops import CropScheme
from fa_assets.encoders.embed_clips import Clip, embed_clips_on
from fa_assets.encoders.registry import find_encoder
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.display import pictures
from fa_assets.graph.encoder import recipe_of
from fa_assets.graph.engine import check_engine, open_engine
from fa_assets.graph.model import read_weights
from fa_assets.graph.partitions import ALL_IN_ONE_RUN, FOLDS
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.intake.kaggle import KaggleDataset, clip_paths
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.progress import ProgressCallback
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import EmbeddingStore, embedding_column
from fa_assets.store.recipe import Recipe

GPU_POOL = "gpu"
_CLIP_COLUMNS = ("sha256", "sample_rate", "frames")


def embeddings_asset(
    scheme: CropScheme, settings: Settings, upstream: list[dg.AssetsDefinition]
) -> dg.AssetsDefinition:
    """The asset `<scheme>_embeddings`; `upstream` are curated_clips, folds and the encoder's checkpoint."""
    recipe = embeddings_recipe("2", scheme, settings)
    card = find_encoder(settings.encoder).card

    @dg.asset(
        name=f"{scheme.name}_embeddings",
        group_name="embeddings",
        deps=upstream,
        partitions_def=FOLDS,
        backfill_policy=ALL_IN_ONE_RUN,
        pool=GPU_POOL,
        code_version=str(recipe),
        kinds={"pytorch", "parquet"},
        description=f"{card.title}'s {card.dimension}-d embedding (float32, no unit) of every clip in the fold, one row per "
        f"clip in the order of the label CSV: {card.sample_rate / 1000:g} kHz mono, the mean over {card.crop_seconds:g} s "
        f"crops {scheme.description}, zero-padded when shorter. Crops that are in the embedding store already are not computed "
        "again.",
    )
    def embeddings(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        with recorder.materialization(context, recipe) as work:
            check_engine(settings)
            clips = _clips_by_fold(work, KaggleDataset(Path(dataset.folder)))
            parts = {str(fold): own for fold, own in clips.items()}
            embed_partitions(context, work, scheme, settings, progress, parts, _labels(work))
        return work.result(
            tables.column_schema(tables.EMBEDDINGS), tables.column_lineage(tables.EMBEDDINGS, encoder=card.name)
        )

    return embeddings


def embed_partitions(
    context: dg.AssetExecutionContext,
    work: Materialization,
    scheme: CropScheme,
    settings: Settings,
    progress: ProgressReporter,
    clips: Mapping[str, list[Clip]],
    labels: Mapping[str, Sequence[str]],
    schema: pa.Schema = tables.EMBEDDINGS,
    part_name: str = "fold",
) -> None:
    """Embed and write every partition of the run.

    Args:
        clips: those of each partition, in the order of the rows.
        labels: of each clip, for the colours of a picture.
        schema: of the value.
        part_name: what a partition is called.
    """
    from fa_assets.report.embeddings import projection, throughput

    weights = read_weights(work, settings.encoder)
    card = find_encoder(settings.encoder).card
    encoder = recipe_of(settings, weights)
    store = EmbeddingStore(work.root, encoder.fingerprint)
    with open_engine(settings, encoder) as engine:
        for part in sorted(context.partition_keys):
            own = clips[part]
            watch = Stopwatch(progress.track(context.log, f"{work.asset}, {part_name} {part}", "clips"))
            with work.phase("embed"):
                result = embed_clips_on(engine, own, scheme, store, card, progress=watch)
            context.log.info(
                f"{part_name} {part}: {len(own)} clips, {result.crops_computed} crops computed, {result.crops_reused} reused"
            )
            table = pa.table([[clip.fname for clip in own], embedding_column(result.vectors)], schema=schema)
            crops = result.crops_computed + result.crops_reused
            with work.phase("draw"):
                drawn = pictures(
                    settings.pictures == "on",
                    context.log,
                    {
                        "throughput": partial(throughput, watch.moments if result.crops_computed else ()),
                        "projection": partial(projection, result.vectors, [labels[clip.fname] for clip in own]),
                    },
                )
            work.write(
                table,
                partition=part,
                data_version=work.version_from_inputs(),
                facts={
                    "clips": len(own),
                    "crops_computed": result.crops_computed,
                    "crops_reused": result.crops_reused,
                    "crops_reused_share": round(result.crops_reused / crops, 4) if crops else None,
                    "clips_per_second": round(len(own) / result.seconds, 2) if result.crops_computed else None,
                    "weights_trained": weights.trained,
                    "encoder_fingerprint": store.fingerprint,
                },
                details={"encoder": card.name, "encoder_fingerprint": store.fingerprint},
                display=drawn,
                environment=engine.environment,
            )


def clips_of(table: pa.Table, folder: Path) -> list[Clip]:
    """The rows of curated_clips or test_clips as clips to embed, which lie in `folder`."""
    fnames = table["fname"].to_pylist()
    columns = (fnames, clip_paths(folder, fnames), *(table[name].to_pylist() for name in _CLIP_COLUMNS))
    return [Clip(*fields) for fields in zip(*columns, strict=True)]


def embeddings_recipe(version: str, scheme: CropScheme, settings: Settings) -> Recipe:
    """What embeddings depend on besides their inputs."""
    return Recipe(version, {"encoder": settings.encoder, "scheme": scheme.name, "precision": settings.precision})


class Stopwatch:
    """A progress callback that passes on what it is told and remembers when: (seconds since the start, clips done)."""

    def __init__(self, inner: ProgressCallback) -> None:
        self._inner = inner
        self._started = time.perf_counter()
        self.moments: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.moments.append((time.perf_counter() - self._started, done))
        self._inner(done, total)


def _labels(work: Materialization) -> dict[str, list[str]]:
    """The labels of every clip, for the colours of a picture."""
    table = work.read("curated_clips").table
    return dict(zip(table["fname"].to_pylist(), table["labels"].to_pylist(), strict=True))


def _clips_by_fold(work: Materialization, dataset: KaggleDataset) -> dict[int, list[Clip]]:
    """The clips of every fold, each in file order."""
    table = work.read("curated_clips").table
    folds = work.read("folds").table
    if folds["fname"].to_pylist() != table["fname"].to_pylist():
        raise UserError("folds were made for other clips than curated_clips has now: materialize folds again.")
    by_fold: dict[int, list[Clip]] = {fold: [] for fold in range(N_FOLDS)}
    for fold, clip in zip(folds["fold"].to_pylist(), clips_of(table, dataset.clips_folder), strict=True):
        by_fold[fold].append(clip)
    return by_fold
