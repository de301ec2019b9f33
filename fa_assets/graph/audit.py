"""The labels that the out-of-fold model doubts, for a person to listen to."""

import csv
import io
from dataclasses import asdict
from functools import partial

import dagster as dg
import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.display import pictures, records
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.partitions import all_folds_of
from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.label_audit import MISSING, WRONG, doubted_labels
from fa_assets.store.atomic import replacing
from fa_assets.store.recipe import Recipe

SCHEME = "mc5"
SHOWN = 50
_SHOWN_COLUMNS = ("rank", "fname", "class_name", "kind", "labels", "probability", "self_confidence", "margin")


def label_audit_asset(curated_clips: dg.AssetsDefinition, predictions: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `label_audit`."""
    recipe = Recipe("1", {"scheme": SCHEME})

    @dg.asset(
        group_name="evaluation",
        deps=[curated_clips, all_folds_of(predictions)],
        code_version=str(recipe),
        kinds={"parquet", "csv"},
    )
    def label_audit(context: dg.AssetExecutionContext, recorder: dg.ResourceParam[Recorder]) -> dg.MaterializeResult:
        """The labels that the out-of-fold model doubts most: absent ones that look missing, present ones that look wrong.
        One row per clip and class, ranked by margin: how far the opposite answer's probability is above what the model
        usually gives to clips where that answer is the given one (0: just reaches it, 1: certain). This is confident
        learning (Northcutt, Jiang and Chuang, JAIR 2021), class by class. The same rows are in
        `<storage>/label_audit/label_audit.csv`. Listen before you change a label: the model is often the one that is wrong."""
        from fa_assets.report.label_audit import doubts_per_class

        with recorder.materialization(context, recipe) as work:
            clips = work.read("curated_clips").table
            labels = dict(zip(clips["fname"].to_pylist(), clips["labels"].to_pylist(), strict=True))
            with work.phase("audit"):
                doubts = doubted_labels(read_predictions(work, SCHEME))
            rows = [
                {"rank": rank, "labels": ",".join(labels[doubt.fname]), **asdict(doubt)}
                for rank, doubt in enumerate(doubts, start=1)
            ]
            table = pa.Table.from_pylist(rows, schema=tables.LABEL_AUDIT)
            file = recorder.root / "label_audit" / "label_audit.csv"
            text = io.StringIO()
            writer = csv.DictWriter(text, tables.LABEL_AUDIT.names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            with replacing(file) as temporary:
                temporary.write_text(text.getvalue(), encoding="utf-8")
            with work.phase("draw"):
                drawn = pictures(
                    recorder.pictures, context.log, {"doubts_per_class": partial(doubts_per_class, doubts)}
                )
            shown = [[row[name] for name in _SHOWN_COLUMNS] for row in rows[:SHOWN]]
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={
                    "doubted_labels": len(doubts),
                    "doubted_clips": len({doubt.fname for doubt in doubts}),
                    "look_missing": sum(doubt.kind == MISSING for doubt in doubts),
                    "look_wrong": sum(doubt.kind == WRONG for doubt in doubts),
                    "csv": str(file),
                },
                display={**drawn, **({"most_doubted": records(_SHOWN_COLUMNS, shown)} if shown else {})},
                extra_files=[file],
            )
        return work.result(tables.column_schema(tables.LABEL_AUDIT), tables.column_lineage(tables.LABEL_AUDIT))

    return label_audit
