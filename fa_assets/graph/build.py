"""The whole graph, put together.

Loading is cheap: torch, librosa and scikit-learn are imported inside the assets, when they are used. A run executes its
steps in one process, so that the weights are loaded once for both crop schemes.

Of several encoders the first is the main one; each other one has weights, embeddings, predictions and metrics of its own,
under the prefix of its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

from fa_assets.graph.asset import Asset, Check, Graph
from fa_assets.graph.audit import label_audit_asset
from fa_assets.graph.blend import blend_asset
from fa_assets.graph.checks_clips import clip_checks
from fa_assets.graph.checks_comparison import comparison_checks, gate_check, reproduction_checks
from fa_assets.graph.checks_embeddings import embedding_checks
from fa_assets.graph.checks_evaluation import (
    leakage_checks,
    metrics_checks,
    predictions_checks,
    training_data_check,
)
from fa_assets.graph.checks_model import model_checks
from fa_assets.graph.checks_submission import test_set_checks
from fa_assets.graph.comparison import comparison_asset
from fa_assets.graph.corrections import label_corrections_asset
from fa_assets.graph.embeddings import embeddings_asset, test_embeddings_asset
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import ProbabilityOptions, metrics_asset, predictions_asset
from fa_assets.graph.experiments import experiments_asset
from fa_assets.graph.export import notebook_artifacts_asset
from fa_assets.graph.features import FitOptions
from fa_assets.graph.final_classifier import final_classifier_asset
from fa_assets.graph.learning_curve import learning_curve_assets
from fa_assets.graph.observation import observe_source, usable_check
from fa_assets.graph.place import Place
from fa_assets.graph.pools import living_executor
from fa_assets.graph.references import with_pages
from fa_assets.graph.report import report_asset
from fa_assets.graph.source import CURATED_RECORDINGS, TEST_RECORDINGS
from fa_assets.graph.submission import (
    submission_asset,
    test_clips_asset,
    test_metrics_asset,
)


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """What is made by one encoder: its weights, and by crop scheme its embeddings, predictions and metrics."""

    engine: EngineOptions
    weights: Asset
    embeddings: Mapping[str, Asset]
    predictions: Mapping[str, Asset]
    metrics: Mapping[str, Asset]

    @classmethod
    def by(
        cls,
        engine: EngineOptions,
        weights: Asset,
        schemes: Sequence[str],
        fit: FitOptions,
        folds: Asset,
        probability: ProbabilityOptions,
    ) -> "_Evaluated":
        embeddings = {name: embeddings_asset(name, engine, folds, weights) for name in schemes}
        predictions = {name: predictions_asset(name, engine, fit, folds, one) for name, one in embeddings.items()}
        metrics = {name: metrics_asset(f"{engine.prefix}{name}", one, probability) for name, one in predictions.items()}
        return cls(engine, weights, embeddings, predictions, metrics)

    def checks(self, folds: Asset, max_lwlrap_drop: float) -> list[Check]:
        found: list[Check] = []
        for name, metrics in self.metrics.items():
            found += embedding_checks(self.embeddings[name], folds, self.engine.card)
            found += predictions_checks(self.predictions[name], name)
            found += metrics_checks(metrics, self.predictions[name], folds, name, max_lwlrap_drop)
        return found

    @property
    def assets(self) -> list[Asset]:
        by_scheme = zip(self.embeddings.values(), self.predictions.values(), self.metrics.values(), strict=True)
        return [asset for assets in by_scheme for asset in assets]


def pipeline(
    clips: Asset,
    folds: Asset,
    encoders: Sequence[tuple[EngineOptions, Asset]],
    *,
    schemes: tuple[str, str],
    fit: FitOptions,
    blend: bool,
    experiments: str | None,
    curve_sizes: str | None,
    probability: ProbabilityOptions,
    min_lwlrap: float | None,
    max_lwlrap_drop: float,
    duplicate_similarity: float | None,
    recorded: bool,
) -> Graph:
    """Everything from the clips on.

    Args:
        encoders: each with the asset of its weights, the main one first.
        schemes: the crop scheme, and its baseline.
        blend: whether the final classifier is a blend of the encoders.
        curve_sizes: FA_LEARNING_CURVE; as the others, a setting's value.
        recorded: whether the clips may be those that figures were recorded for (`reproduction`).
    """
    every = [_Evaluated.by(engine, weights, schemes, fit, folds, probability) for engine, weights in encoders]
    main, *others = every
    scheme, encoder = schemes[0], main.engine.encoder
    embeddings, predictions, metrics = main.embeddings[scheme], main.predictions[scheme], main.metrics[scheme]
    of_others = {f"{one.engine.prefix}{name}": own for one in others for name, own in one.metrics.items()}
    comparison = comparison_asset(metrics, main.metrics[schemes[1]], of_others, schemes, min_lwlrap)
    engines, all_predictions = [one.engine for one in every], [one.predictions[scheme] for one in every]
    blended = [blend_asset(engines, all_predictions, min_lwlrap, probability)] if others else []
    audit = label_audit_asset(scheme, predictions)
    corrections = label_corrections_asset(scheme, main.engine, fit, embeddings, predictions)
    tried = experiments_asset(experiments, scheme, encoder, folds, embeddings)
    curve = learning_curve_assets(curve_sizes, scheme, fit, folds, embeddings)
    reads = {"folds": folds, "embeddings": embeddings, "predictions": predictions}
    judged = {
        "metrics": metrics,
        "baseline": main.metrics[schemes[1]],
        "comparison": comparison,
        "audit": audit,
        "corrections": corrections,
        "experiments": tried,
    }
    assets = [clips, folds, *(one.weights for one in every), *(asset for one in every for asset in one.assets)]
    assets += [comparison, *blended, audit, corrections, tried, *curve.values()]
    of_test = _test_stage(scheme, every if blend else [main], fit, clips, folds, comparison, blended if blend else [])
    assets += of_test
    assets += [
        notebook_artifacts_asset(scheme, encoder, **reads),
        report_asset(
            schemes, [one.encoder for one in engines], **reads, **judged, **curve, **{one.name: one for one in blended}
        ),
    ]
    checks = _checks(clips, folds, every, of_test, scheme, max_lwlrap_drop, duplicate_similarity)
    checks += comparison_checks(comparison, schemes)
    checks += reproduction_checks(metrics, folds, main.weights) if recorded else []
    return Graph(assets, checks + [gate_check(one, "main encoder") for one in blended if blend])


def _checks(
    clips: Asset,
    folds: Asset,
    every: Sequence[_Evaluated],
    test_stage: Sequence[Asset],
    scheme: str,
    max_lwlrap_drop: float,
    duplicate_similarity: float | None,
) -> list[Check]:
    """The checks of the clips, and of all that each encoder makes of them."""
    main, (test_clips, test_embeddings, *_, submission, _) = every[0], test_stage
    embeddings, metrics = main.embeddings[scheme], main.metrics[scheme]
    alike = duplicate_similarity or main.engine.card.duplicate_similarity
    return [
        *(check for one in every for check in model_checks(one.weights)),
        *clip_checks(clips, folds),
        *(check for one in every for check in one.checks(folds, max_lwlrap_drop)),
        *leakage_checks(metrics, embeddings, alike),
        *test_set_checks(test_clips, submission, test_embeddings, embeddings, alike),
        *(training_data_check(one.metrics[scheme], one.engine.card) for one in every),
    ]


def _test_stage(
    scheme: str,
    used: Sequence[_Evaluated],
    fit: FitOptions,
    curated: Asset,
    folds: Asset,
    comparison: Asset,
    blended: Sequence[Asset],
) -> list[Asset]:
    """The test clips, the final classifier and the submission, by one encoder or by the blend of several."""
    engines = [one.engine for one in used]
    clips = test_clips_asset(curated)
    embeddings = [test_embeddings_asset(scheme, one.engine, clips, one.weights) for one in used]
    classifier = final_classifier_asset(
        scheme, engines, fit, folds, [one.embeddings[scheme] for one in used], [*blended, used[0].metrics[scheme]][0]
    )
    predictions = [one.predictions[scheme] for one in used]
    submission = submission_asset(scheme, engines, classifier, embeddings, predictions, [*blended, comparison][0])
    return [clips, *embeddings, classifier, submission, test_metrics_asset(submission, clips)]


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
    sources = [one.to_dagster(place, observe_source) for one in (CURATED_RECORDINGS, TEST_RECORDINGS)]
    made = [one.to_dagster(place, **_scheme_tag(one.name, schemes)) for one in graph.assets]
    return dg.Definitions(
        assets=with_pages([*sources, *_with_freshness(made, metrics_max_age_days)]),
        asset_checks=[usable_check(place), *(one.to_dagster(place) for one in graph.checks)],
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        executor=None if place.prefix else living_executor,
    )


def _with_freshness(assets: Sequence[dg.AssetsDefinition], max_age_days: float) -> list[dg.AssetsDefinition]:
    """The assets; metrics are overdue after so many days, and warned of after half."""
    fail = timedelta(days=max_age_days)
    policy = dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2)

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        return dg.apply_freshness_policy(spec, policy) if spec.key.to_user_string().endswith("_metrics") else spec

    return [one.map_asset_specs(apply) for one in assets]


def _scheme_tag(name: str, schemes: Sequence[str]) -> dict[str, str]:
    found = [scheme for scheme in schemes if name.rpartition("/")[2].startswith(f"{scheme}_")]
    return {"crop_scheme": found[0]} if found else {}
