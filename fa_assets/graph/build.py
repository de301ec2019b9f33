"""The whole graph, put together.

Loading is cheap: torch, librosa and scikit-learn are imported inside the assets, when they are used. A run executes its
steps in one process, so that the weights are loaded once for both crop schemes.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from fa_assets.graph.asset import Asset, Graph
from fa_assets.graph.audit import label_audit_asset
from fa_assets.graph.checks_clips import clip_checks
from fa_assets.graph.checks_comparison import comparison_checks, reproduction_checks
from fa_assets.graph.checks_embeddings import embedding_checks
from fa_assets.graph.checks_evaluation import leakage_checks, metrics_checks, predictions_checks
from fa_assets.graph.checks_model import model_checks
from fa_assets.graph.comparison import comparison_asset
from fa_assets.graph.embeddings import embeddings_asset, test_embeddings_asset
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import metrics_asset, predictions_asset
from fa_assets.graph.experiments import experiments_asset
from fa_assets.graph.export import notebook_artifacts_asset
from fa_assets.graph.features import FitOptions
from fa_assets.graph.learning_curve import learning_curve_assets
from fa_assets.graph.place import Place
from fa_assets.graph.policies import with_freshness
from fa_assets.graph.pools import living_executor
from fa_assets.graph.references import with_pages
from fa_assets.graph.report import report_asset
from fa_assets.graph.source import CURATED_RECORDINGS, TEST_RECORDINGS
from fa_assets.graph.submission import (
    final_classifier_asset,
    submission_asset,
    test_clips_asset,
    test_metrics_asset,
)


def pipeline(
    clips: Asset,
    folds: Asset,
    weights: Asset,
    *,
    schemes: tuple[str, str],
    engine: EngineOptions,
    fit: FitOptions,
    experiments: str | None,
    curve_sizes: str | None,
    min_lwlrap: float | None,
    max_lwlrap_drop: float,
    duplicate_similarity: float | None,
) -> Graph:
    """Everything from the clips on; long, as it names each asset once.

    Args:
        schemes: the crop scheme, and its baseline.
        experiments, min_lwlrap, max_lwlrap_drop, duplicate_similarity: the settings of these names.
        curve_sizes: FA_LEARNING_CURVE.
    """
    assets = [clips, folds, weights]
    checks = [*model_checks(weights), *clip_checks(clips, folds)]
    of_scheme = []
    for name in schemes:
        embeddings = embeddings_asset(name, engine, folds, weights)
        predictions = predictions_asset(name, engine.encoder, fit, folds, embeddings)
        metrics = metrics_asset(name, predictions)
        of_scheme.append((embeddings, predictions, metrics))
        assets += of_scheme[-1]
        checks += embedding_checks(embeddings, folds, engine.card)
        checks += predictions_checks(predictions, name)
        checks += metrics_checks(metrics, predictions, folds, name, max_lwlrap_drop)
    (embeddings, predictions, metrics), (_, _, baseline) = of_scheme
    scheme, encoder = schemes[0], engine.encoder
    comparison = comparison_asset(metrics, baseline, schemes, min_lwlrap)
    audit = label_audit_asset(scheme, predictions)
    tried = experiments_asset(experiments, scheme, encoder, folds, embeddings)
    curve = learning_curve_assets(curve_sizes, scheme, encoder, fit, folds, embeddings)
    checks += comparison_checks(comparison, schemes)
    checks += leakage_checks(metrics, embeddings, engine.card, duplicate_similarity)
    checks += reproduction_checks(metrics, folds, weights)
    test_clips = test_clips_asset(folds)
    test_embeddings = test_embeddings_asset(scheme, engine, test_clips, weights)
    classifier = final_classifier_asset(scheme, encoder, fit, folds, embeddings)
    submission = submission_asset(scheme, encoder, classifier, test_embeddings, predictions, comparison)
    assets += [comparison, audit, tried, *curve.values(), test_clips, test_embeddings, classifier, submission]
    assets += [
        test_metrics_asset(submission, test_clips),
        notebook_artifacts_asset(scheme, encoder, folds, weights, embeddings, predictions, metrics),
        report_asset(
            schemes,
            encoder,
            folds=folds,
            weights=weights,
            embeddings=embeddings,
            predictions=predictions,
            metrics=metrics,
            baseline=baseline,
            comparison=comparison,
            audit=audit,
            experiments=tried,
            **curve,
        ),
    ]
    return Graph(assets, checks)


def definitions_of(
    graph: Graph,
    place: Place,
    *,
    schemes: Sequence[str],
    metrics_max_age_days: float,
    jobs: Sequence[Any],
    sensors: Sequence[dg.SensorDefinition],
    schedules: Sequence[dg.ScheduleDefinition],
) -> dg.Definitions:
    """What Dagster loads; it needs no resources, so it merges with any other definitions."""
    sources = [one.to_dagster(place) for one in (CURATED_RECORDINGS, TEST_RECORDINGS)]
    made = [one.to_dagster(place, **_scheme_tag(one.name, schemes)) for one in graph.assets]
    return dg.Definitions(
        assets=with_pages([*sources, *with_freshness(made, metrics_max_age_days)]),
        asset_checks=[one.to_dagster(place) for one in graph.checks],
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        executor=None if place.prefix else living_executor,
    )


def _scheme_tag(name: str, schemes: Sequence[str]) -> dict[str, str]:
    found = [scheme for scheme in schemes if name.startswith(f"{scheme}_")]
    return {"crop_scheme": found[0]} if found else {}
