"""The labels that the out-of-fold model doubts, for a person to listen to."""

import csv
import io
from dataclasses import asdict
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import GROUP, read_predictions
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.label_audit import MISSING, WRONG, find_label_issues
from fa_assets.printable import spreadsheet_row
from fa_assets.store.atomic import write_file
from fa_assets.web.addresses import REVIEW

SHOWN = 50


def label_audit_asset(scheme: str, predictions: Asset) -> Asset:
    """`label_audit`."""
    return Asset(
        "label_audit",
        GROUP,
        audit_labels,
        tables.LABEL_AUDIT,
        version="2",
        reads={"predictions": predictions},
        settings={"scheme": scheme},
        kinds=frozenset({"parquet", "csv"}),
    )


def audit_labels(work: Work, predictions: Stored) -> Made:
    """The labels that the out-of-fold model doubts most: absent ones that look missing, present ones that look wrong. One
    row per clip and class, ranked by margin: how far the opposite answer's probability is above what the model usually
    gives to clips where that answer is the given one (0: just reaches it, 1: certain). This is confident learning
    (Northcutt, Jiang and Chuang, JAIR 2021), class by class. The same rows are in `<storage>/label_audit/label_audit.csv`;
    *review* opens the page to correct them in `fa-assets ui`. Listen before you change a label: the model is often the one
    that is wrong, and labels that were changed by its advice flatter it (`label_corrections` has the score on the clips
    left untouched)."""
    from fa_assets.report.label_audit import doubts_per_class

    found = read_predictions(predictions)
    with work.phase("audit"):
        doubts = find_label_issues(found)
    classes = np.array(found.classes, dtype=object)
    labels = {fname: ",".join(classes[own]) for fname, own in zip(found.fnames, found.truth, strict=True)}
    rows: list[dict[str, Any]] = [
        {"rank": rank, "labels": labels[doubt.fname], **asdict(doubt)} for rank, doubt in enumerate(doubts, start=1)
    ]
    file = work.root / "label_audit" / "label_audit.csv"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(tables.LABEL_AUDIT.names)
    writer.writerows(spreadsheet_row([row[name] for name in tables.LABEL_AUDIT.names]) for row in rows)
    digest = write_file(file, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    drawn = work.draw({"doubts_per_class": partial(doubts_per_class, doubts)})
    return Made(
        pa.Table.from_pylist(rows, schema=tables.LABEL_AUDIT),
        facts={
            "doubted_labels": len(doubts),
            "doubted_clips": len({doubt.fname for doubt in doubts}),
            "look_missing": sum(doubt.kind == MISSING for doubt in doubts),
            "look_wrong": sum(doubt.kind == WRONG for doubt in doubts),
        },
        display={
            "review": dg.MetadataValue.url(REVIEW),
            **drawn,
            "most_doubted": records(
                ["fname", "doubt", "labels"],  # what fits a window of 1440 pixels, where only spaces wrap
                [
                    (row["fname"], f"{row['class_name']}: {row['kind']}", row["labels"].replace(",", ", "))
                    for row in rows[:SHOWN]
                ],
            ),
        },
        files=[work.stored(file, digest)],
    )
