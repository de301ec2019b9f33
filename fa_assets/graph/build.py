"""The whole graph, put together for some settings.

Loading is cheap: torch, librosa and scikit-learn are imported inside the assets, when they are used. A run executes its
steps in one process, so that the weights are loaded once for both crop schemes.
"""

import dagster as dg

from fa_assets.audio.crops import SCHEMES
from fa_assets.graph.audit import label_audit_asset
from fa_assets.graph.checks_clips import clip_checks
from fa_assets.graph.checks_embeddings import embedding_checks
from fa_assets.graph.checks_evaluation import comparison_checks, evaluation_checks, leakage_checks
from fa_assets.graph.checks_model import model_checks
from fa_assets.graph.checks_submission import submission_checks
from fa_assets.graph.clips import clip_assets
from fa_assets.graph.comparison import comparison_asset
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.embeddings import embeddings_asset
from fa_assets.graph.evaluation import metrics_asset, predictions_asset
from fa_assets.graph.experiments import experiments_asset
from fa_assets.graph.export import notebook_artifacts_asset
from fa_assets.graph.jobs import catalog_snapshot, everything, stage_jobs, verify_checkpoint
from fa_assets.graph.model import model_assets
from fa_assets.graph.partitions import all_folds_of
from fa_assets.graph.policies import with_freshness
from fa_assets.graph.progress import ProgressReporter, Watcher, watch_nothing
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.report import report_asset
from fa_assets.graph.reproduction import reproduction_checks
from fa_assets.graph.schedules import nightly_schedule
from fa_assets.graph.sensors import refresh_sensors
from fa_assets.graph.source import curated_recordings, test_recordings
from fa_assets.graph.submission import (
    final_classifier_asset,
    submission_asset,
    test_clips_asset,
    test_embeddings_asset,
    test_metrics_asset,
)
from fa_assets.graph.words import with_words
from fa_assets.settings import Settings


def build_definitions(settings: Settings, watcher: Watcher = watch_nothing) -> dg.Definitions:
    """The whole code location for some settings; `watcher` is told of the progress of long assets."""
    class_vocabulary, curated_clips, folds = clip_assets(settings)
    (cnn14_checkpoint,) = model_assets(settings)
    assets: list[dg.AssetsDefinition] = [
        curated_recordings,
        test_recordings,
        class_vocabulary,
        curated_clips,
        folds,
        cnn14_checkpoint,
    ]
    asset_checks = [*model_checks(cnn14_checkpoint), *clip_checks(curated_clips, folds)]
    embeddings, predictions, metrics = {}, {}, {}
    for name, scheme in SCHEMES.items():
        embeddings[name] = embeddings_asset(scheme, settings, [curated_clips, folds, cnn14_checkpoint])
        predictions[name] = predictions_asset(
            name, settings, [class_vocabulary, curated_clips, folds], embeddings[name]
        )
        metrics[name] = metrics_asset(name, predictions[name])
        assets += [embeddings[name], predictions[name], metrics[name]]
        asset_checks += embedding_checks(embeddings[name])
        asset_checks += evaluation_checks(name, predictions[name], metrics[name], settings.max_lwlrap_drop)
    comparison = comparison_asset(metrics, predictions)
    asset_checks += comparison_checks(comparison)
    asset_checks += leakage_checks(metrics["mc5"], embeddings["mc5"], settings.duplicate_similarity)
    label_audit = label_audit_asset(curated_clips, predictions["mc5"])
    notebook_artifacts = notebook_artifacts_asset(
        [
            curated_clips,
            folds,
            cnn14_checkpoint,
            all_folds_of(embeddings["mc5"]),
            all_folds_of(predictions["mc5"]),
            metrics["mc5"],
        ]
    )
    experiments = experiments_asset(
        settings,
        [class_vocabulary, curated_clips, folds, all_folds_of(embeddings["mc5"])],
    )
    report = report_asset(
        [
            curated_clips,
            folds,
            cnn14_checkpoint,
            all_folds_of(embeddings["mc5"]),
            *(all_folds_of(predictions[scheme]) for scheme in ("mc5", "center")),
            *(metrics[scheme] for scheme in ("mc5", "center")),
            label_audit,
            experiments,
        ]
    )
    asset_checks += submission_checks(metrics["mc5"], metrics["center"], settings)
    asset_checks += reproduction_checks(metrics["mc5"])
    test_clips = test_clips_asset(class_vocabulary)
    test_embeddings = test_embeddings_asset(settings, [test_clips, cnn14_checkpoint])
    final_classifier = final_classifier_asset(
        settings, [class_vocabulary, curated_clips, folds, all_folds_of(embeddings["mc5"])]
    )
    submission = submission_asset(
        settings,
        [
            class_vocabulary,
            test_clips,
            all_folds_of(test_embeddings),
            final_classifier,
            *(all_folds_of(one) for one in predictions.values()),
            metrics["mc5"],
        ],
    )
    test_metrics = test_metrics_asset([class_vocabulary, test_clips, submission, all_folds_of(predictions["mc5"])])
    test_stage = [test_clips, test_embeddings, final_classifier, submission, test_metrics]
    return dg.Definitions(
        assets=with_freshness(
            with_words([*assets, comparison, label_audit, notebook_artifacts, report, experiments, *test_stage]),
            settings,
        ),
        asset_checks=asset_checks,
        jobs=[everything, *stage_jobs, verify_checkpoint, catalog_snapshot],
        sensors=refresh_sensors(settings),
        schedules=[nightly_schedule(settings)],
        executor=dg.in_process_executor,
        resources={
            "dataset": _fixed(DatasetFolder(folder=str(settings.dataset), is_demo=settings.is_demo)),
            "recorder": _fixed(Recorder.of(settings)),
            "progress": _fixed(ProgressReporter(watcher)),
        },
    )


def _fixed(value: object) -> dg.ResourceDefinition:
    """A resource that takes no configuration: the settings alone say what runs, and they are what is recorded."""
    return dg.ResourceDefinition(lambda _: value, config_schema={})
