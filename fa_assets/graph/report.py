"""One page about the run, to read, to print and to send."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.audio.decode import BadClipError
from fa_assets.encoders.registry import checkpoint_asset, find_encoder
from fa_assets.graph import tables
from fa_assets.graph.comparison import RESAMPLES, SEED
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.features import stack_by_clip
from fa_assets.graph.model import read_weights
from fa_assets.graph.recorder import Recorder
from fa_assets.intake.kaggle import KaggleDataset, locate_clip
from fa_assets.report.content import Evaluated, page_of
from fa_assets.report.page import render
from fa_assets.report.snippets import LocalClip
from fa_assets.store.atomic import replacing
from fa_assets.store.ledger import Ledger
from fa_assets.store.recipe import Recipe

REPORT = "report"


def report_asset(encoder: str, upstream: list[dg.AssetsDefinition | dg.AssetDep]) -> dg.AssetsDefinition:
    """The asset `report`; `upstream` is everything it reads."""
    recipe = Recipe("2", {"resamples": RESAMPLES, "seed": SEED})

    @dg.asset(name=REPORT, group_name="export", deps=upstream, code_version=str(recipe), kinds={"html"})
    def report(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
    ) -> dg.MaterializeResult:
        """One HTML page per run in `<storage>/reports/`, named after the run: figures, tables, the clips whose labels are
        doubted most with a player for each, settings, environment, and every materialization behind the numbers. It needs
        no network and no other file, and prints well. `fa-assets report --open` opens the newest. The value lists the page
        with its size and hash."""
        with recorder.materialization(context, recipe) as work:
            clips = work.read("curated_clips").table
            fold_of = np.asarray(work.read("folds").table["fold"])
            fnames = np.array(clips["fname"].to_pylist(), dtype=object)
            weights = read_weights(work, encoder)
            audit = work.read("label_audit").table
            evaluated = Evaluated(
                clips=clips,
                left_out=work.read("curated_clips").header.details["left_out"],
                fold_of=fold_of,
                embeddings=stack_by_clip(work, "mc5_embeddings", fnames, fold_of, encoder),
                mc5=read_predictions(work, "mc5"),
                center=read_predictions(work, "center"),
                mc5_metrics=work.read("mc5_metrics").table,
                center_metrics=work.read("center_metrics").table,
                audit=audit,
                encoder=find_encoder(encoder).card.title,
                weights_origin=weights.origin,
                weights_trained=weights.trained,
                local_clips=_local_clips(KaggleDataset(Path(dataset.folder)), audit, clips),
                resamples=RESAMPLES,
                seed=SEED,
                experiments=work.read("experiments").table,
                pictures=recorder.pictures,
            )
            with work.phase("draw"):
                page = page_of(
                    evaluated,
                    dataset=Path(dataset.folder).name,
                    run_id=context.run.run_id,
                    inputs=work.inputs,
                    ledger=Ledger(recorder.root / "ledger"),
                )
            path = recorder.root / "reports" / f"{context.run.run_id}.html"
            with replacing(path) as temporary:
                temporary.write_text(render(page), encoding="utf-8")
            file = work.stored(path)
            row: Mapping[str, object] = {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
            work.write(
                pa.Table.from_pylist([row], schema=tables.FILES),
                data_version=work.version_from_inputs(),
                facts={"bytes": file.size_bytes, "open_with": "fa-assets report --open"},
                display={"page": dg.MetadataValue.path(str(path))},
                extra_files=[path],
            )
        return work.result(
            tables.column_schema(tables.FILES),
            tables.column_lineage(
                tables.FILES,
                sha256="mc5_metrics.precision_sum center_metrics.precision_sum mc5_oof_predictions.logit "
                "center_oof_predictions.logit label_audit.margin mc5_embeddings.embedding curated_clips.seconds folds.fold "
                f"{checkpoint_asset(encoder)}.origin",
            ),
        )

    return report


def _local_clips(dataset: KaggleDataset, audit: pa.Table, clips: pa.Table) -> dict[str, LocalClip]:
    """Those of the doubted clips that are still in the dataset folder."""
    folder = dataset.clips_folder.resolve()
    sha256 = dict(zip(clips["fname"].to_pylist(), clips["sha256"].to_pylist(), strict=True))
    found = {}
    for fname in audit["fname"].unique().to_pylist():
        with suppress(BadClipError, OSError):
            found[fname] = LocalClip(fname, locate_clip(folder, fname), sha256[fname])
    return found
