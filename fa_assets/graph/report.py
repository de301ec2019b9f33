"""One page about the run, to read, to print and to send."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import dagster as dg
import pyarrow as pa

from fa_assets.audio.decode import BadClipError
from fa_assets.encoders.registry import find_encoder
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.comparison import read_figures
from fa_assets.graph.encoder import fingerprint_of
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.features import TrainingClips, stack_by_clip
from fa_assets.graph.model import read_weights
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.kaggle import KaggleDataset, locate_clip
from fa_assets.metrics.bootstrap import PairedBootstrap
from fa_assets.metrics.corrections import Effect
from fa_assets.report.content import Evaluated, page_of
from fa_assets.report.encoders import SideBySide
from fa_assets.report.page import render
from fa_assets.report.snippets import LocalClip
from fa_assets.store.atomic import write_file
from fa_assets.store.ledger import Ledger
from fa_assets.web.addresses import report_address

REPORT = "report"
MADE_OF = (
    "metrics.value baseline.value predictions.logit comparison.difference audit.margin corrections.verdict "
    "embeddings.embedding folds.seconds experiments.lwlrap weights.origin"
)
FILES = tables.files(MADE_OF)


def report_asset(schemes: tuple[str, str], encoders: Sequence[str], **reads: Asset) -> Asset:
    """`report`.

    Args:
        schemes: the crop scheme and its baseline.
        encoders: the main one first.
        reads: what it is made of, by the parameters of `write_report`.
    """
    return Asset(
        REPORT,
        "export",
        partial(write_report, schemes=schemes, encoders=encoders),
        tables.files(MADE_OF + " learning_curve.lwlrap" * ("learning_curve" in reads)),
        version="5",
        reads=reads,
        settings={"scheme": schemes[0], "baseline": schemes[1]},
        kinds=frozenset({"html"}),
    )


def write_report(
    work: Work,
    folds: Stored,
    weights: Stored,
    embeddings: Stored,
    predictions: Stored,
    metrics: Stored,
    baseline: Stored,
    comparison: Stored,
    audit: Stored,
    corrections: Stored,
    experiments: Stored,
    learning_curve: Stored | None = None,
    blend: Stored | None = None,
    *,
    schemes: tuple[str, str],
    encoders: Sequence[str],
) -> Made:
    """One HTML page per run in `<storage>/reports/`, named after the run: figures, tables, the clips whose labels are
    doubted most with a player for each, settings, environment, and every materialization behind the numbers. It needs
    no network and no other file, and prints well. `fa-assets report --open` opens the newest. The value lists the page
    with its size and hash."""
    fingerprint_of(embeddings, encoders[0])
    card = find_encoder(encoders[0]).card
    clips, checkpoint, doubts, table = TrainingClips.of(folds), read_weights(weights), audit.table, folds.table
    run = Evaluated(
        schemes=schemes,
        clips=table,
        left_out=folds.header.details["left_out"],
        embeddings=stack_by_clip(embeddings, clips.fnames, clips.fold_of),
        predictions=read_predictions(predictions),
        figures=read_figures(metrics),
        baseline=read_figures(baseline),
        gain=PairedBootstrap(**comparison.header.details["gain"]),
        audit=doubts,
        encoder=card.title,
        weights_origin=checkpoint.origin,
        weights_licence=card.weights_licence,
        weights_trained=checkpoint.trained,
        local_clips=_local_clips(work.dataset.layout, doubts, table),
        experiments=experiments.table,
        corrections=corrections.table,
        effects=[Effect(**one) for one in corrections.header.details["effects"]],
        learning_curve=learning_curve and learning_curve.table,
        encoders=SideBySide(encoders, schemes[0], comparison.table, blend.table) if blend else None,
        pictures=work.recorder.pictures,
    )
    with work.phase("draw"):
        page = page_of(
            run,
            dataset=Path(work.dataset.folder).name,
            run_id=work.run_id,
            inputs=work.inputs,
            ledger=Ledger(work.root / "ledger"),
        )
    path = work.root / "reports" / f"{work.run_id}.html"
    html = render(page)
    file = work.stored(path, write_file(path, lambda temporary: temporary.write_text(html, encoding="utf-8")))
    return Made(
        pa.Table.from_pylist([asdict(file)], schema=FILES),
        facts={"bytes": file.size_bytes, "open_with": "fa-assets report --open"},
        display={
            "page": dg.MetadataValue.url(report_address(work.run_id)),
            "page_file": dg.MetadataValue.path(str(path)),
        },
        files=[file],
    )


def _local_clips(dataset: KaggleDataset, audit: pa.Table, clips: pa.Table) -> dict[str, LocalClip]:
    """Those of the doubted clips that are still in the dataset folder."""
    folder = Path(os.path.realpath(dataset.clips_folder))
    contents = zip(clips["sha256"].to_pylist(), tables.decoders(clips), strict=True)
    content_of = dict(zip(clips["fname"].to_pylist(), contents, strict=True))
    found = {}
    for fname in audit["fname"].unique().to_pylist():
        with suppress(BadClipError, OSError):
            path = locate_clip(folder, fname, dataset.limits)
            found[fname] = LocalClip(fname, path, *content_of[fname])
    return found
