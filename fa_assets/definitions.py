"""The entry point that Dagster loads: `defs`, for the settings of the environment. Here settings become the graph's choices."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import dagster as dg
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from fa_assets.encoders.ray_cluster import RayOptions
from fa_assets.encoders.registry import find_encoder, key_prefix, with_absolute_path
from fa_assets.errors import UserError
from fa_assets.graph.asset import Asset
from fa_assets.graph.build import definitions_of, pipeline
from fa_assets.graph.clips import clips_asset, folds_asset
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import ProbabilityOptions
from fa_assets.graph.features import FitOptions
from fa_assets.graph.jobs import EVERYTHING, asset_jobs, catalog_snapshot_job
from fa_assets.graph.location import CodeLocation
from fa_assets.graph.model import weights_asset
from fa_assets.graph.place import Place
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.schedules import nightly_schedule
from fa_assets.graph.sensors import failure_sensor, refresh_sensor
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.metrics.reproduction import RECORDED_CLIPS
from fa_assets.progress import Watcher, watch_nothing
from fa_assets.settings import Settings, describe_problems, load_settings
from fa_assets.store.source_files import read_bytes


def code_location(
    settings: Settings, watcher: Watcher = watch_nothing, *, key_prefix: str | Sequence[str] = ()
) -> CodeLocation:
    """The code location for some settings.

    Args:
        watcher: told of the progress of long assets.
        key_prefix: of the asset keys; jobs, sensors, the schedule and groups have it in their names.
    """
    place = Place(
        DatasetFolder(
            settings.layout, settings.is_demo, settings.other_dataset == "replace", settings.on_bad_clip == "skip"
        ),
        Recorder(str(settings.storage_root), str(settings.local_root), settings.pictures == "on"),
        (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix),
        watcher,
    )
    schemes = (settings.scheme, settings.baseline)
    clips = clips_asset(settings.on_bad_clip, find_encoder(settings.encoder).card.crop_seconds)
    folds = folds_asset(clips, settings.folds, settings.near_duplicates)
    graph = pipeline(
        clips,
        folds,
        _encoders(settings),
        schemes=schemes,
        fit=_fit(settings),
        blend=settings.blend == "on",
        experiments=settings.experiments,
        curve_sizes=settings.learning_curve,
        probability=ProbabilityOptions(settings.threshold_rule, settings.calibration == "platt"),
        min_lwlrap=settings.gate_minimum,
        max_lwlrap_drop=settings.max_lwlrap_drop,
        duplicate_similarity=settings.duplicate_similarity,
        recorded=_may_be_recorded(settings.layout),
    )
    jobs = asset_jobs(graph, place, _shown(settings))
    watched = graph, place, jobs[EVERYTHING]
    running = settings.automation == "running"
    nightly = settings.nightly_cron, settings.timezone
    definitions = definitions_of(
        graph,
        place,
        schemes=schemes,
        metrics_max_age_days=settings.metrics_max_age_days,
        jobs=[*jobs.values(), catalog_snapshot_job(place)],
        sensors=[
            refresh_sensor(*watched, settings.observe_every_s, running=running),
            failure_sensor(graph, place, settings.observe_every_s, settings.command_line("run"), settings.on_failure),
        ],
        schedules=[nightly_schedule(*watched, *nightly, running=running)],
    )
    return CodeLocation(
        definitions, graph, place, settings.as_environment(), settings.engine == "ray", settings.deciding
    )


def _encoders(settings: Settings) -> list[tuple[EngineOptions, Asset]]:
    """The encoders with the assets of their weights, the main one first; one that does not know FA_PRECISION has its own."""
    ray = RayOptions(settings.ray_address, settings.ray_actors, settings.ray_actor_gpus)
    how = settings.device, settings.precision, settings.batch_size, ray if settings.engine == "ray" else None
    engine, limits = EngineOptions(settings.encoder, *how), settings.limits
    found = [(engine, weights_asset(settings.encoder, settings.checkpoint_source, limits))]
    for number, (name, source) in enumerate(settings.other_encoders.items(), 1):
        precisions = find_encoder(name).card.precisions
        precision = settings.precision if settings.precision in precisions else precisions[0]
        other = replace(engine, encoder=name, precision=precision, prefix=key_prefix(name), priority=-number)
        found.append((other, weights_asset(name, source, limits, other.prefix)))
    rates = [one.card.sample_rate for one, _ in found]
    return [(replace(one, shares_rate=rates.count(one.card.sample_rate) > 1), weights) for one, weights in found]


def _may_be_recorded(dataset: KaggleDataset) -> bool:
    """Whether there are as many clips as recorded figures are of: no other dataset has the check that compares with them."""
    # Every process of a run asks this, so a CSV far above the 0.2 MB of those clips is not read for it.
    limits = replace(dataset.limits, table_bytes=min(dataset.limits.table_bytes, 2_000_000))
    with suppress(UserError):  # without the file, or with one that is larger or that the intake refuses
        return len(read_bytes(dataset.labels_csv, limits).splitlines()) == RECORDED_CLIPS + 1
    return False


def _shown(settings: Settings) -> dict[str, str]:
    """The settings that the UI shows."""
    where = {"dataset": settings.dataset, "storage": settings.storage_root, "device": settings.device}
    return {**{name: str(value) for name, value in where.items()}, **settings.deciding}


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


def code_location_with(**given: Any) -> CodeLocation:
    """The code location for the settings of the environment; those that are given and not None come before it.

    Raises:
        UserError: as `load_settings`.
    """
    return code_location(load_settings(**given))


def build_definitions(settings: Settings, *, key_prefix: str | Sequence[str] = ()) -> dg.Definitions:
    """What Dagster loads, for some settings; with a prefix it merges with the definitions of other datasets."""
    return code_location(settings, key_prefix=key_prefix).definitions


class _GivenSettings(Settings):
    """Settings that are those given and the defaults, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: PydanticBaseSettingsSource, *others: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _attribute(field: FieldInfo) -> tuple[Any, Any]:
    """A setting as an attribute in YAML, where a path is a string."""
    is_path = Path in (field.annotation, *get_args(field.annotation))
    default = None if is_path else field.default
    return (str | None if is_path else field.annotation), Field(default=default, description=field.description)


_Attributes = create_model(  # type: ignore[call-overload]
    "_Attributes", __base__=dg.Model, **{name: _attribute(one) for name, one in Settings.model_fields.items()}
)


class AudioTagging(dg.Component, _Attributes, dg.Resolvable):  # type: ignore[misc, valid-type]
    """A folder of labelled clips in a Dagster project: embeddings, out-of-fold predictions and label-ranking metrics.

    The attributes are the settings of fa_assets, and the prefix of the asset keys. Relative paths start at the project's root.
    Nothing is read from FA_ variables, so that several of these can be in one project.
    """

    key_prefix: str

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this dataset."""
        if not all(self.key_prefix.split("/")):
            raise UserError(f"{context.path}: key_prefix={self.key_prefix!r} is empty or has an empty part.")
        given = {name: value for name in Settings.model_fields if (value := getattr(self, name)) is not None}
        root = context.project_root
        for name in {"dataset", "storage", "local", "checkpoint"} & given.keys():
            given[name] = _below(root, given[name])
        if "encoder" in given:
            given["encoder"] = with_absolute_path(given["encoder"], root)
        if "encoders" in given:
            words = [word.partition("=") for word in shlex.split(given["encoders"])]
            given["encoders"] = shlex.join(
                f"{with_absolute_path(name, root)}{sign}{_below(root, source)}" for name, sign, source in words
            )
        given.setdefault("storage", root / "data" / self.key_prefix)
        try:
            settings = _GivenSettings(**given)
        except ValidationError as error:
            raise UserError(f"{context.path}: {describe_problems(error, str)}") from error
        return build_definitions(settings, key_prefix=self.key_prefix.split("/"))


def _below(root: Path, location: str) -> str:
    """A relative path from a folder on; anything else as it is."""
    is_path = location and "://" not in location and location not in ("demo", "published")
    return str(root / Path(location).expanduser()) if is_path else location


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads, for the settings of the environment."""
    return build_definitions(load_settings())
