"""One page about the run, to read, to print and to send."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import dagster as dg
import pyarrow as pa

from fa_assets.encoders.registry import find_encoder
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.checks_not_worse import earlier, newest_kept
from fa_assets.graph.comparison import read_figures
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.features import TrainingClips, stack_by_clip
from fa_assets.graph.model import weights_behind
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.bootstrap import PairedBootstrap
from fa_assets.metrics.corrections import Effect
from fa_assets.metrics.label_ranks import label_ranks
from fa_assets.report.content import page_of
from fa_assets.report.encoders import SideBySide
from fa_assets.report.evaluated import Before, Evaluated
from fa_assets.report.origin import behind
from fa_assets.report.page import render
from fa_assets.report.ranks import beside_report, write_ranks
from fa_assets.report.snippets import local_clips
from fa_assets.store.atomic import write_file
from fa_assets.store.check_records import CheckRecord, CheckRecords
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry
from fa_assets.store.roots import StoragePath
from fa_assets.web.addresses import report_address

MADE_OF = (
    "metrics.value baseline.value predictions.logit comparison.difference audit.margin corrections.verdict "
    "embeddings.embedding folds.seconds experiments.lwlrap"
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
        "report",
        "export",
        partial(write_report, schemes=schemes, encoders=encoders),
        tables.files(MADE_OF + " learning_curve.lwlrap" * ("learning_curve" in reads)),
        version="8",
        reads=reads,
        priority=-100,
        settings={"scheme": schemes[0], "baseline": schemes[1]},
        kinds=frozenset({"html"}),
    )


def write_report(
    work: Work,
    folds: Stored,
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
    """One HTML page per run in `<storage>/reports/`, named after the run: how good the model is, the checks that did not
    pass, every class, doubted labels and confusions with a player for each, a map of all clips, encoders and experiments,
    settings, and every materialization behind the numbers. It needs no network and no other file, and prints well.
    `fa-assets report --open` opens the newest, *page* shows it in `fa-assets ui`. Beside it, RUN.parquet has how each label
    was ranked, which later runs are compared with. The value lists the page with its size and hash. Figures of the test set
    are those there are when it is made, which is last in a run."""
    card = find_encoder(encoders[0]).card
    clips, doubts, table = TrainingClips.of(folds), audit.table, folds.table
    ledger = Ledger(work.root / "ledger")
    checkpoint = weights_behind(ledger, embeddings)
    found = read_predictions(predictions)
    with work.phase("rank"):
        ranks = label_ranks(found)
    of_test, inputs_of_test = _test_figures(work, ledger, predictions)
    entries = behind(ledger, [*work.inputs, *inputs_of_test])
    run = Evaluated(
        schemes=schemes,
        clips=table,
        left_out=folds.header.details["left_out"],
        embeddings=stack_by_clip(embeddings, clips),
        predictions=found,
        ranks=ranks,
        figures=read_figures(metrics),
        baseline=read_figures(baseline),
        gain=PairedBootstrap(**comparison.header.details["gain"]),
        audit=doubts,
        encoder=card.title,
        weights_origin=checkpoint.origin,
        weights_licence=card.weights_licence,
        weights_trained=checkpoint.trained,
        local_clips=local_clips(work.dataset.layout, table),
        entries=entries,
        checks=_checks_of(work.root, entries),
        before=_before(ledger, metrics),
        test=of_test,
        experiments=experiments.table,
        corrections=corrections.table,
        effects=[Effect(**one) for one in corrections.header.details["effects"]],
        learning_curve=learning_curve and learning_curve.table,
        encoders=SideBySide(encoders, schemes[0], comparison.table, blend.table) if blend else None,
        pictures=work.recorder.pictures,
    )
    return _write(work, run)


def _write(work: Work, run: Evaluated) -> Made:
    """The page, and beside it how each label was ranked."""
    with work.phase("draw"):
        html = render(page_of(run, dataset=work.dataset.layout.root.name, run_id=work.run_id))
    path = work.root / "reports" / f"{work.run_id}.html"
    file = work.stored(path, write_file(path, lambda temporary: temporary.write_text(html, encoding="utf-8")))
    beside = beside_report(work.root, work.run_id)
    of_labels = work.stored(beside, write_ranks(beside, run.ranks))
    return Made(
        pa.Table.from_pylist([asdict(file)], schema=FILES),
        facts={"bytes": file.size_bytes, "open_with": "fa-assets report --open"},
        display={"page": dg.MetadataValue.url(report_address(work.run_id))},
        files=[file, of_labels],
    )


def _test_figures(work: Work, ledger: Ledger, predictions: Stored) -> tuple[pa.Table | None, Sequence[InputVersion]]:
    """test_metrics and what it is as an input, where it was made from these predictions. It is not one of the report's, since
    there is a report also where no submission may be made."""
    try:
        value = work.values.read("test_metrics")
    except UserError:
        return None, ()
    header = value.header
    own = InputVersion(header.asset, None, header.data_version, header.materialization_id)
    made_from = {(one.asset, one.data_version) for one in behind(ledger, [own])}
    belongs = (predictions.asset, predictions.header.data_version) in made_from
    return (value.table, (own,)) if belongs else (None, ())


def _checks_of(root: StoragePath, entries: Sequence[LedgerEntry]) -> list[CheckRecord]:
    """The latest evaluation of each check of what is behind the report."""
    asset_of = {one.id: one.asset for one in entries}
    found: dict[tuple[str, str], CheckRecord] = {}
    for one in CheckRecords(root / "checks").records(since=min(asset_of, default="")):
        if one.materialization_ids and asset_of.keys() >= set(one.materialization_ids):
            found[asset_of[one.materialization_ids[0]], one.name] = one
    return list(found.values())


def _before(ledger: Ledger, metrics: Stored) -> Before | None:
    """The run before with other figures."""
    found = newest_kept(ledger, earlier(ledger, metrics.asset, metrics.header.data_version))
    return found and Before(found[0].run_id, found[0].finished_at, found[1])
