"""The entry point that Dagster loads: `defs`, for the settings of the environment. Here settings become the graph's choices."""

import shlex
from typing import Any

import dagster as dg

from fa_assets.encoders.ray_cluster import RayOptions
from fa_assets.graph.build import definitions_of, pipeline
from fa_assets.graph.clips import clips_asset, folds_asset
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.failures import Advice
from fa_assets.graph.features import FitOptions
from fa_assets.graph.location import CodeLocation
from fa_assets.graph.model import weights_asset
from fa_assets.graph.progress import ProgressReporter, Watcher, watch_nothing
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.schedules import nightly_schedule
from fa_assets.graph.sensors import failure_sensor, refresh_sensor
from fa_assets.settings import Settings, load_settings


def code_location(settings: Settings, watcher: Watcher = watch_nothing) -> CodeLocation:
    """The code location for some settings; `watcher` is told of the progress of long assets."""
    dataset = DatasetFolder(folder=str(settings.dataset), is_demo=settings.is_demo)
    recorder = Recorder(
        storage=str(settings.storage_root), local=str(settings.local_root), pictures=settings.pictures == "on"
    )
    schemes = (settings.scheme, settings.baseline)
    clips = clips_asset(settings.on_bad_clip)
    folds = folds_asset(clips, settings.folds)
    weights = weights_asset(settings.encoder, settings.checkpoint_source, settings.checkpoint_label)
    assets, checks = pipeline(
        clips,
        folds,
        weights,
        schemes=schemes,
        engine=EngineOptions(
            settings.encoder, settings.device, settings.precision, settings.batch_size, _ray(settings)
        ),
        fit=_fit(settings),
        experiments=settings.experiments,
        min_lwlrap=settings.min_lwlrap,
        max_lwlrap_drop=settings.max_lwlrap_drop,
        duplicate_similarity=settings.duplicate_similarity,
    )
    running = settings.automation == "running"
    again = {"dataset": settings.dataset, "storage": settings.storage_root, "encoder": settings.encoder}
    again["checkpoint"] = settings.checkpoint_label
    command = shlex.join(["fa-assets", "run", *(word for name in again for word in (f"--{name}", str(again[name])))])
    advice = Advice(settings.dataset, command, settings.local_root)
    definitions = definitions_of(
        assets,
        checks,
        weights=weights,
        dataset=dataset,
        recorder=recorder,
        progress=ProgressReporter(watcher),
        schemes=schemes,
        metrics_max_age_days=settings.metrics_max_age_days,
        sensors=[
            refresh_sensor(settings.observe_every_s, running=running),
            failure_sensor(settings.observe_every_s, advice, settings.on_failure),
        ],
        schedules=[nightly_schedule(settings.nightly_cron, settings.timezone, weights.name, running=running)],
    )
    return CodeLocation(definitions, dataset, recorder, settings.as_environment(), settings.engine == "ray")


def _fit(settings: Settings) -> FitOptions:
    is_default = settings.fit_in_memory_gb == Settings.model_fields["fit_in_memory_gb"].default
    return FitOptions(
        settings.classifier,
        settings.regularization_c,
        settings.max_iter,
        settings.fit_in_memory_gb,
        is_default,
        settings.device,
    )


def _ray(settings: Settings) -> RayOptions | None:
    if settings.engine == "local":
        return None
    return RayOptions(
        address=settings.ray_address,
        actor_gpus=settings.ray_actor_gpus,
        actor_cpus=settings.ray_actor_cpus,
        decode_cpus=settings.ray_decode_cpus,
        actors=settings.ray_actors,
    )


def code_location_with(**given: Any) -> CodeLocation:
    """The code location for the settings of the environment; those that are given and not None come before it.

    Raises:
        UserError: as `load_settings`.
    """
    return code_location(load_settings(**given))


def build_definitions(settings: Settings) -> dg.Definitions:
    """What Dagster loads, for some settings."""
    return code_location(settings).definitions


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads, for the settings of the environment."""
    return build_definitions(load_settings())
