"""A small made-up storage folder: values, ledger entries and the catalog over them, without any audio."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from fa_assets.catalog.database import Catalog
from fa_assets.store.check_records import CheckRecord, CheckRecords
from fa_assets.store.embedding_store import list_column
from fa_assets.store.ledger import InputVersion, JsonValue, Ledger, LedgerEntry, MetricRow, StoredFile, new_entry_id
from fa_assets.store.recipe import Scalar
from fa_assets.store.values import ValueHeader, ValueStore

CLIPS = {
    "bell.wav": (["bell"], 0),
    "gong.wav": (["bell", "gong"], 1),
    "rain.wav": (["rain"], 0),
    "hail.wav": (["rain"], 1),
}
"""Clip name to its labels and fold."""
CLASSES = ("bell", "gong", "rain", "never")
METRICS = {
    (0, "bell"): (1.0, 1),
    (0, "rain"): (0.5, 1),
    (1, "bell"): (0.5, 1),
    (1, "gong"): (0.25, 1),
    (1, "rain"): (0.9, 1),
}
"""Fold and class to the sum of precisions and the number of positives; what is not named has none."""


def an_entry(
    id: str | None = None, asset: str = "folds", partition: str | None = None, **fields: object
) -> LedgerEntry:
    """An entry in which every field says something."""
    finished = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    return LedgerEntry(
        **{  # type: ignore[arg-type]
            "id": id or new_entry_id(),
            "asset": asset,
            "partition": partition,
            "run_id": "run-1",
            "started_at": finished - timedelta(seconds=1.5),
            "finished_at": finished,
            "code_version": "1 seed=42",
            "data_version": "v1",
            "inputs": (
                InputVersion("curated_clips", None, "c1"),
                InputVersion("mc5_embeddings", "3", "e1", "made-before"),
            ),
            "settings": {"seed": 42, "C": 2.0, "precision": "fp32", "shuffle": True, "device": None},
            "environment": {"python": "3.11.9", "git_dirty": False, "torch": None},
            "timings": {"read": 0.25, "stratify": 1.0},
            "files": (StoredFile("values/folds/folds.parquet", 123, "ab" * 32),),
            "metadata": {"rows": 2, "lwlrap": 0.75, "worst": ["gong", "bell"], "none": None},
            "metrics": (MetricRow("mc5", 0, "bell", 1.5, 2), MetricRow("mc5", 0, "never", 0.0, 0)),
            **fields,
        }
    )


class MadeUpStorage:
    """Writes values as the platform does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / "ledger")
        self.values = ValueStore(root)
        self.catalog = Catalog.of(root, root)

    def write(
        self,
        asset: str,
        table: pa.Table,
        *,
        partition: str | None = None,
        run_id: str = "run-1",
        data_version: str = "v1",
        inputs: Sequence[InputVersion] = (),
        settings: Mapping[str, Scalar] | None = None,
        environment: Mapping[str, Scalar] | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        metrics: Sequence[MetricRow] = (),
        id: str | None = None,
    ) -> str:
        """Store a value and its ledger entry; return the entry's id."""
        fields = [field.with_metadata({"doc": f"{field.name} of {asset}"}) for field in table.schema]
        id = id or new_entry_id()
        header = ValueHeader(asset, partition, data_version, "1", run_id, tuple(inputs), materialization_id=id)
        with self.values.writing(table.cast(pa.schema(fields)), header) as file:
            entry = an_entry(
                **header.in_the_ledger,
                started_at=datetime.now(UTC),
                finished_at=datetime.now(UTC),
                settings=settings or {},
                environment=environment or {"python": "3.11.9"},
                files=(file,),
                metadata=metadata or {"rows": table.num_rows},
                metrics=tuple(metrics),
            )
            self.ledger.append(entry)
        return entry.id

    def write_check(self, **fields: object) -> CheckRecord:
        """Store what a check said."""
        record = CheckRecord(
            **{  # type: ignore[arg-type]
                "id": new_entry_id(),
                "asset": "curated_clips",
                "name": "sound_levels",
                "run_id": "run-1",
                "evaluated_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                "materialization_ids": ("m-1",),
                "passed": False,
                "severity": "WARN",
                "description": "2 clips are silent or clipped",
                "offenders": [{"fname": "bell.wav", "problem": "silent", "peak": 0.0}, {"fname": "gong.wav"}],
                **fields,
            }
        )
        CheckRecords(self.root / "checks").append(record)
        return record

    def write_clips(self, seconds: float = 1.0, **fields: object) -> str:
        table = pa.table(
            {
                "fname": list(CLIPS),
                "labels": [labels for labels, _ in CLIPS.values()],
                "sample_rate": pa.array([44100] * len(CLIPS), pa.int32()),
                "channels": pa.array([1] * len(CLIPS), pa.int32()),
                "frames": pa.array([int(44100 * seconds)] * len(CLIPS), pa.int64()),
                "seconds": [seconds] * len(CLIPS),
                "sha256": ["00"] * len(CLIPS),
            }
        )
        source = InputVersion("curated_recordings", None, "folder-1")
        return self.write("curated_clips", table, inputs=[source], **fields)  # type: ignore[arg-type]

    def write_predictions(self, scheme: str, logit: float = 0.0, **fields: object) -> str:
        n, k = len(CLIPS), len(CLASSES)
        table = pa.table(
            {
                "fname": list(CLIPS),
                "fold": pa.array([fold for _, fold in CLIPS.values()], pa.int8()),
                "class_name": [list(CLASSES)] * n,
                "truth": [[name in labels for name in CLASSES] for labels, _ in CLIPS.values()],
                "logit": [[logit] * k] * n,
                "probability": [[float(1 / (1 + np.exp(-logit)))] * k] * n,
            }
        )
        return self.write(f"{scheme}_oof_predictions", table, **fields)  # type: ignore[arg-type]

    def write_experiments(self, lwlrap: Mapping[str, float], **fields: object) -> str:
        """Rows of variants, named by their C, and the nested choice, which took the last of them in every fold."""
        rows = [
            {
                "variant": name, "C": None if nested else float(name), "lwlrap": value, "lwlrap_per_fold": [value] * 2,
                "difference": value - 0.5, "low": value - 0.75, "high": value - 0.25, "share_won": value,
                "low_of_all": value - 0.8, "high_of_all": value - 0.2,
                "selected": None if nested else name == list(lwlrap)[-2], "selected_in": [0, 1],
                "tol": 1e-4, "weights": "none", "norm": "l2", "pool": "max", "crops": 5, "chosen": [],
            }
            for name, value in lwlrap.items()
            for nested in [name == list(lwlrap)[-1]]
        ]  # fmt: skip
        return self.write("experiments", pa.Table.from_pylist(rows), **fields)  # type: ignore[arg-type]

    def write_everything(
        self,
        run_id: str = "run-1",
        seed: int = 42,
        torch: str = "2.13.0",
        bell: float = 1.0,
        folds_from: str | None = None,
    ) -> str:
        """One run of the whole graph for scheme mc5 with two folds; return the id of mc5_metrics.

        Args:
            run_id: the run it belongs to.
            seed: of the folds; another one gives everything downstream another data version.
            torch: library version recorded for the embeddings.
            bell: sum of precisions of class bell in fold 0.
            folds_from: the data version of the folds that these go on from.
        """
        version = f"seed-{seed}"
        clips, folds = InputVersion("curated_clips", None, "v1"), InputVersion("folds", None, version)
        weights = InputVersion("cnn14_checkpoint", None, "abc123")
        before = [InputVersion("folds", None, folds_from)] if folds_from else []
        self.write_clips(run_id=run_id)
        self.write_check(run_id=run_id)
        table = pa.table({"fname": list(CLIPS), "fold": pa.array([fold for _, fold in CLIPS.values()], pa.int8())})
        self.write(
            "folds", table, run_id=run_id, data_version=version, inputs=[clips, *before], settings={"seed": seed},
            metadata={"origin": "multilabel-stratified"},
        )  # fmt: skip
        self.write(
            "cnn14_checkpoint", pa.table({"sha1": ["abc123"]}), run_id=run_id, data_version="abc123",
            metadata={"origin": "demo", "sha1": "abc123", "trained": False},
        )  # fmt: skip
        for fold in (0, 1):
            fnames = [fname for fname, (_, own) in CLIPS.items() if own == fold]
            vectors = np.stack([a_vector(fname) for fname in fnames])
            self.write(
                "mc5_embeddings", pa.table([fnames, list_column(vectors)], names=["fname", "embedding"]),
                partition=str(fold), run_id=run_id, data_version=version, inputs=[clips, folds, weights],
                environment={"torch": torch, "device": "cpu"},
            )  # fmt: skip
        embeddings = [InputVersion("mc5_embeddings", fold, version) for fold in ("0", "1")]
        self.write_predictions("mc5", run_id=run_id, data_version=version, inputs=[clips, folds, *embeddings])
        sums = {**METRICS, (0, "bell"): (bell, 1)}
        return self.write(
            "mc5_metrics",
            pa.table({"fold": [0]}),
            run_id=run_id,
            data_version=version,
            inputs=[folds, InputVersion("mc5_oof_predictions", None, version)],
            metrics=[
                MetricRow("mc5", fold, name, *sums.get((fold, name), (0.0, 0))) for fold in (0, 1) for name in CLASSES
            ],
        )


def a_vector(fname: str) -> np.ndarray:
    """A (2048,) float32 embedding: bell and gong point nearly the same way, rain and hail another."""
    vector = np.zeros(2048, np.float32)
    vector[[0, 1]] = {"bell.wav": (1, 0), "gong.wav": (2, 0.5), "rain.wav": (0, 1), "hail.wav": (0.1, 3)}[fname]
    return vector


def rows(storage: MadeUpStorage, sql: str) -> list[tuple[object, ...]]:
    with storage.catalog.connect() as connection:
        return connection.execute(sql).fetchall()


def dump(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table and view, sorted, by name."""
    with catalog.connect() as connection:
        names = connection.execute(
            "select table_name, concat(table_schema, '.\"', table_name, '\"') from information_schema.tables "
            "order by table_schema, 1"
        ).fetchall()
        return {name: sorted(connection.execute(f"from {quoted}").fetchall(), key=repr) for name, quoted in names}
