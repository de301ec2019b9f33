"""The files of the original Kaggle notebook, so that a user of it can drop these in."""

import csv
import io
import json
from dataclasses import asdict

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.catalog.environment import collect_environment
from fa_assets.encoders.registry import checkpoint_asset, find_encoder
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.features import stack_by_clip
from fa_assets.graph.model import read_weights
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.metric_table import sums_of, total_of
from fa_assets.metrics.reproduction import RECORDED_CENTER_LWLRAP
from fa_assets.store.atomic import replacing
from fa_assets.store.recipe import Recipe
from fa_assets.store.roots import StoragePath

STAGE = "c3a_curated"
TTA = "mc5"
_VERSIONS = ("python", "torch", "librosa", "numpy", "pandas", "scikit-learn", "panns-inference")


def notebook_artifacts_asset(encoder: str, upstream: list[dg.AssetsDefinition | dg.AssetDep]) -> dg.AssetsDefinition:
    """The asset `notebook_artifacts`; `upstream` is everything it reads."""
    recipe = Recipe("1")
    card = find_encoder(encoder).card

    @dg.asset(group_name="export", deps=upstream, code_version=str(recipe), kinds={"numpy"})
    def notebook_artifacts(
        context: dg.AssetExecutionContext, recorder: dg.ResourceParam[Recorder]
    ) -> dg.MaterializeResult:
        """The notebook's own files in `<storage>/notebook/`, rows in the order of the label CSV:
        embeddings_curated_mc5.npy, metadata_c3a.json, oof_tta.npy, metrics_c3a_curated.json, train_curated_folds.csv.
        The value lists them with their sizes and hashes. `delta_vs_c2_baseline` is against the recorded 0.8001."""
        with recorder.materialization(context, recipe) as work:
            clips = work.read("curated_clips").table
            fold_of = np.asarray(work.read("folds").table["fold"])
            fnames = np.array(clips["fname"].to_pylist(), dtype=object)
            embeddings = stack_by_clip(work, "mc5_embeddings", fnames, fold_of, encoder)
            classes, sums = sums_of(work.read("mc5_metrics").table)
            oof = np.empty((len(fnames), len(classes)), np.float32)
            for fold in FOLD_NAMES:
                rows = np.flatnonzero(fold_of == int(fold))
                predictions = work.read("mc5_oof_predictions", fold).table
                if predictions["fname"].to_pylist() != [name for name in fnames[rows] for _ in classes]:
                    raise UserError(
                        f"mc5_oof_predictions, fold {fold}, is of other clips or classes: materialize it again."
                    )
                oof[rows] = np.asarray(predictions["probability"]).reshape(-1, len(classes))
            weights = read_weights(work, encoder)
            lwlrap = total_of(sums).overall
            environment = collect_environment()
            metadata = {
                "tta": TTA,
                "sr": card.sample_rate,
                "T_sec": card.crop_seconds,
                "T": card.crop_samples,
                "crops": ["begin", "center", "end", "25%", "75%"],
                "aggregation": "mean",
                "stage": STAGE,
                "versions": {name: environment[name] for name in _VERSIONS},
                "checkpoint": {
                    "path": str(weights.path),
                    "size_bytes": weights.size_bytes,
                    "sha1": weights.sha1,
                },
            }
            metrics = {
                "stage": STAGE,
                "oof_lwlrap": lwlrap,
                "per_fold_lwlrap": [sums[fold].overall for fold in sorted(sums)],
                "delta_vs_c2_baseline": lwlrap - RECORDED_CENTER_LWLRAP,
                "tta_scheme": TTA,
                "checkpoint_sha1": weights.sha1,
            }
            folds_csv = io.StringIO()
            writer = csv.writer(folds_csv, lineterminator="\n")
            writer.writerow(["fname", "labels", "fold"])
            writer.writerows(zip(fnames, map(",".join, clips["labels"].to_pylist()), fold_of, strict=True))
            contents = {
                "embeddings_curated_mc5.npy": _npy(embeddings),
                "metadata_c3a.json": json.dumps(metadata, indent=2).encode(),
                "oof_tta.npy": _npy(oof),
                "metrics_c3a_curated.json": json.dumps(metrics, indent=2).encode(),
                "train_curated_folds.csv": folds_csv.getvalue().encode(),
            }
            files: list[StoragePath] = []
            for name, content in contents.items():
                files.append(recorder.root / "notebook" / name)
                with replacing(files[-1]) as temporary:
                    temporary.write_bytes(content)
            table = pa.Table.from_pylist([asdict(work.stored(file)) for file in files], schema=tables.FILES)
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={"folder": str(recorder.root / "notebook")},
                extra_files=files,
            )
        return work.result(
            tables.column_schema(tables.FILES),
            tables.column_lineage(
                tables.FILES,
                sha256="mc5_embeddings.embedding mc5_oof_predictions.probability mc5_metrics.precision_sum folds.fold "
                f"curated_clips.labels {checkpoint_asset(encoder)}.sha1",
            ),
        )

    return notebook_artifacts


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
