"""The nightly refresh: when it runs, and what it asks for."""

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import FRESHNESS_EVALUATORS_BY_POLICY_TYPE
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from fa_assets.definitions import build_definitions
from fa_assets.errors import UserError
from fa_assets.settings import Settings, load_settings
from fa_assets_tests.graph.test_refresh_sensor import add_clip


def tonight(settings: Settings, instance: dg.DagsterInstance) -> dg.RunRequest:
    repository = build_definitions(settings).get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime.now(UTC),
        repository_def=repository,
    ) as context:
        data = repository.get_schedule_def("nightly_refresh").evaluate_tick(context)
    (request,) = data.run_requests or ()
    return request


def test_when_nothing_is_stale_the_weights_are_verified_all_the_same(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    request = tonight(settings, instance)
    assert request.tags["from"] == "schedule"
    assert not request.asset_selection
    assert [key.name for key in request.asset_check_keys or ()] == ["checkpoint_intact"]


def test_what_is_stale_is_made_in_one_run_with_its_checks(settings: Settings, instance: dg.DagsterInstance) -> None:
    add_clip(settings)
    request = tonight(settings, instance)
    assets = {key.to_user_string() for key in request.asset_selection or ()}
    assert {"curated_clips", "folds", "mc5_embeddings", "mc5_metrics", "notebook_artifacts"} <= assets
    assert "cnn14_checkpoint" not in assets
    checks = {key.name for key in request.asset_check_keys or ()}
    assert {"checkpoint_intact", "mc5_embeddings_sound", "mc5_predictions_complete"} <= checks
    assert (request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]) == (
        "0",
        "4",
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("FA_NIGHTLY_CRON", "at night", "FA_NIGHTLY_CRON"), ("FA_TIMEZONE", "Mars/Olympus", "FA_TIMEZONE")],
)
def test_times_that_mean_nothing_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        build_definitions(load_settings())


def test_everything_is_on_unless_it_was_said_otherwise() -> None:
    for automation, status in (("running", "RUNNING"), ("stopped", "STOPPED")):
        repository = build_definitions(
            Settings(automation=automation, nightly_cron="30 4 * * 1", timezone="Europe/Berlin")  # type: ignore[arg-type]
        ).get_repository_def()
        schedule = repository.get_schedule_def("nightly_refresh")
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 4 * * 1", "Europe/Berlin")
        assert schedule.default_status.value == status
        assert repository.get_sensor_def("refresh_what_is_stale").default_status.value == status
        assert repository.get_sensor_def("say_what_failed").default_status.value == "RUNNING"


def test_every_metric_has_its_freshness() -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        is_metric = key.to_user_string().endswith("_metrics")
        assert (graph.get(key).freshness_policy is not None) == is_metric, key


def test_metrics_grow_old_as_the_daemon_judges_them(settings: Settings, instance: dg.DagsterInstance) -> None:
    node = build_definitions(settings).resolve_asset_graph().get(dg.AssetKey("mc5_metrics"))
    evaluator = FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(node.freshness_policy_or_from_metadata)]()
    for days, state in ((1, FreshnessState.PASS), (20, FreshnessState.WARN), (31, FreshnessState.FAIL)):
        with freeze_time(datetime.now(UTC) + timedelta(days=days)):
            assert asyncio.run(evaluator.evaluate_freshness(LoadingContextForTest(instance), node)) is state, days


def test_there_is_a_job_for_every_stage() -> None:
    definitions = build_definitions(Settings())
    names = {job.name for job in definitions.get_repository_def().get_all_jobs()}
    assert {"everything", "verify_checkpoint"} <= names
    assert {f"{stage}_stage" for stage in ("clips", "model", "embeddings", "evaluation", "export")} <= names
