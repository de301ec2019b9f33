"""The definitions as a whole."""

from collections.abc import Iterator

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions, code_location
from fa_assets.encoders.birdnet import CARD as BIRDNET
from fa_assets.errors import UserError
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.settings import Settings, load_settings


@pytest.mark.parametrize(
    "resources",
    [
        {"encoder": {"config": {"precision": "bf16", "device": "cuda"}}},
        {"recorder": {"config": {"storage": "/elsewhere"}}},
    ],
)
def test_the_launchpad_cannot_configure_what_the_settings_say(resources: dict[str, object]) -> None:
    job = build_definitions(Settings()).resolve_job_def(EVERYTHING)
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"resources": resources})


def test_the_graph_has_few_arrows_and_embeddings_alone_are_by_fold() -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert sum(len(graph.get(key).parent_keys) for key in keys) <= 45
    by_fold = {key.to_user_string() for key in keys if graph.get(key).is_partitioned}
    assert by_fold == {"mc5_embeddings", "center_embeddings"}
    assert {"cnn14_checkpoint", "folds", "mc5_oof_predictions", "mc5_metrics"} <= {k.to_user_string() for k in keys}


def test_what_is_declared_is_what_dagster_sees() -> None:
    location = code_location(Settings(), key_prefix=("birds", "north"))
    graph = location.definitions.resolve_asset_graph()
    for asset in location.graph.assets:
        node = graph.get(location.place.key(asset.name))
        assert node.code_version == str(asset.recipe)
        assert node.parent_keys == {location.place.key(one.name) for one in asset.reads.values()}
        assert node.key.path[:-1] == ["birds", "north"]
    usable = dg.AssetCheckKey(location.place.key("curated_recordings"), "dataset_usable")
    assert set(graph.asset_check_keys) == {usable, *(one.key(location.place) for one in location.graph.checks)}


def names(definitions: dg.Definitions) -> Iterator[str]:
    repository = definitions.get_repository_def()
    yield from (one.name for one in repository.get_all_jobs())
    yield from (one.name for one in (*repository.sensor_defs, *repository.schedule_defs))


def test_definitions_of_several_datasets_merge() -> None:
    settings = Settings()
    merged = dg.Definitions.merge(*(build_definitions(settings, key_prefix=one) for one in ("north", "south")))
    found = set(names(merged))
    assert {"north_everything", "south_everything", "north_refresh_what_is_stale", "south_nightly_refresh"} <= found
    keys = merged.resolve_asset_graph().get_all_asset_keys()
    assert {len(key.path) for key in keys} == {2}
    job = merged.resolve_job_def("north_everything")
    assert {key.path[0] for key in job.asset_layer.executable_asset_keys} == {"north"}


@pytest.mark.parametrize(("scheme", "baseline"), [("tiles", "mc5"), ("center", "tiles")])
def test_any_scheme_goes_against_any_other(scheme: str, baseline: str) -> None:
    graph = build_definitions(Settings(scheme=scheme, baseline=baseline)).resolve_asset_graph()
    compared = graph.get(dg.AssetKey("comparison")).parent_keys
    assert {key.to_user_string() for key in compared} == {f"{scheme}_metrics", f"{baseline}_metrics"}
    assert dg.AssetKey(f"{scheme}_oof_predictions") in graph.get(dg.AssetKey("submission")).parent_keys


@pytest.mark.parametrize(
    ("settings", "threshold"),
    [({}, 0.98), ({"encoder": "birdnet"}, BIRDNET.duplicate_similarity), ({"duplicate_similarity": 0.5}, 0.5)],
)
def test_near_duplicates_are_what_the_encoder_says_unless_it_is_set(
    settings: dict[str, object], threshold: float
) -> None:
    checks = code_location(Settings(**settings)).graph.checks_of("mc5_metrics")
    (check,) = (one for one in checks if one.title == "no_near_duplicates_across_folds")
    assert f"a cosine of {threshold:g} " in check.description


def test_schemes_that_do_not_fit_are_one_line() -> None:
    with pytest.raises(UserError, match="FA_SCHEME and FA_BASELINE are both center"):
        load_settings(scheme="center")
    with pytest.raises(UserError, match="FA_SCHEME='sides': .*there are mc5, center, tiles"):
        load_settings(scheme="sides")
    with pytest.raises(UserError, match="FA_EXPERIMENTS pools the crops of mc5"):
        build_definitions(Settings(scheme="tiles", experiments="C=1"))
    with pytest.raises(UserError, match="FA_LEARNING_CURVE='4,0': give whole numbers"):
        build_definitions(Settings(learning_curve="4,0"))
