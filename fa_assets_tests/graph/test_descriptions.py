"""What the UI says of every asset, whichever assets there are: words, owners, tags, code, columns and their origin."""

import subprocess
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.graph.references import repository_page
from fa_assets.settings import Settings
from fa_assets_tests.finished_run import FinishedRun, environment_of

GRAPH = build_definitions(Settings()).resolve_asset_graph()
ASSETS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())
MATERIALIZED = sorted(key.to_user_string() for key in GRAPH.materializable_asset_keys)


@pytest.fixture(scope="module")
def metadata(illustrated: FinishedRun) -> dict[str, dict[str, dg.MetadataValue]]:
    """What the newest materialization of each asset carries."""
    found = {}
    with environment_of(illustrated.settings), dg.DagsterInstance.get() as instance:
        for asset in MATERIALIZED:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event is not None and event.asset_materialization is not None, asset
            found[asset] = dict(event.asset_materialization.metadata)
    return found


@pytest.mark.parametrize("asset", ASSETS)
def test_every_asset_says_what_it_is_whose_and_where_its_code_is(asset: str) -> None:
    node = GRAPH.get(dg.AssetKey(asset))
    assert len(node.description or "") > 100
    assert node.owners
    assert node.kinds
    assert {"stage", "domain"} <= set(node.tags)
    assert node.tags["stage"] == node.group_name.partition("_")[2]
    assert ("crop_scheme" in node.tags) == any(scheme in asset.split("_") for scheme in ("mc5", "center"))
    (reference,) = node.metadata["dagster/code_references"].code_references
    if isinstance(reference, dg.UrlCodeReference):
        assert reference.url.rpartition("#L")[2].isdigit()
        return
    lines = Path(reference.file_path).read_text().splitlines()[reference.line_number - 1 :]
    assert lines[0].startswith("def "), "the reference leads to the function that makes or observes it"


def columns_of(asset: str, metadata: dict[str, dict[str, dg.MetadataValue]]) -> set[str]:
    schema = metadata.get(asset, GRAPH.get(dg.AssetKey(asset)).metadata)["dagster/column_schema"]
    columns = (schema.value if isinstance(schema, dg.MetadataValue) else schema).columns  # type: ignore[union-attr]
    assert all(column.description for column in columns), asset
    return {column.name for column in columns}


@pytest.mark.parametrize("asset", MATERIALIZED)
def test_every_table_names_its_columns_and_what_they_are_made_of(
    asset: str, metadata: dict[str, dict[str, dg.MetadataValue]]
) -> None:
    own = columns_of(asset, metadata)
    parents = GRAPH.get(dg.AssetKey(asset)).parent_keys
    if not parents:
        return
    lineage = metadata[asset]["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert lineage.deps_by_column and set(lineage.deps_by_column) <= own
    for column, deps in lineage.deps_by_column.items():
        for dep in deps:
            assert dep.asset_key in parents, f"{column} comes from {dep.asset_key}, which is not upstream"
            assert dep.column_name in columns_of(dep.asset_key.to_user_string(), metadata), (column, dep)


PICTURES = {
    "curated_clips": {"durations", "label_counts"},
    "folds": {"label_balance"},
    "mc5_embeddings": {"projection"},
    "center_embeddings": {"projection"},
    "mc5_metrics": {"lwlrap_per_class", "confused_classes", "reliability"},
    "center_metrics": {"lwlrap_per_class", "confused_classes", "reliability"},
    "comparison": {"gain", "by_fold", "by_class"},
    "label_audit": {"doubts_per_class"},
}


@pytest.mark.parametrize("asset", PICTURES)
def test_pictures_are_in_the_metadata(
    asset: str, metadata: dict[str, dict[str, dg.MetadataValue]], illustrated: FinishedRun
) -> None:
    """Dagster shows Markdown of less than 1000 characters at once, and a longer one when asked."""
    shown = {
        name: value.value for name, value in metadata[asset].items() if isinstance(value, dg.MarkdownMetadataValue)
    }
    assert PICTURES[asset] <= set(shown)
    for name, text in shown.items():
        assert text is not None and text.startswith("[![") and len(text) < 1000, name
        file = illustrated.settings.storage_root / text.rpartition("](/")[2].removesuffix(")")
        assert 0 < file.stat().st_size <= 100_000, name


def test_whichever_scheme_computes_the_crops_shows_how_fast(metadata: dict[str, dict[str, dg.MetadataValue]]) -> None:
    for asset in ("mc5_embeddings", "center_embeddings"):
        computed = metadata[asset]["crops_computed"].value != 0
        assert ("throughput" in metadata[asset]) == ("clips_per_second" in metadata[asset]) == computed
    assert any("throughput" in metadata[f"{scheme}_embeddings"] for scheme in ("mc5", "center"))


NUMBERS = {
    "mc5_embeddings": {"crops_reused_percent", "crops_computed", "crops_reused"},
    "mc5_metrics": {"lwlrap", "lwlrap_fold_4", "expected_calibration_error"},
    "comparison": {"difference", "difference_low", "difference_high", "percent_of_resamples_won"},
    "label_audit": {"doubted_labels", "doubted_clips"},
}


@pytest.mark.parametrize("asset", NUMBERS)
def test_what_is_watched_over_time_is_a_number(asset: str, metadata: dict[str, dict[str, dg.MetadataValue]]) -> None:
    for name in NUMBERS[asset]:
        assert isinstance(metadata[asset][name], dg.FloatMetadataValue | dg.IntMetadataValue), name


def test_the_comparison_answers_in_a_sentence(metadata: dict[str, dict[str, dg.MetadataValue]]) -> None:
    found = metadata["comparison"]
    answer = found["is_the_gain_real"].value
    assert isinstance(answer, str) and "center" in answer
    low, high = found["difference_low"].value, found["difference_high"].value
    assert isinstance(low, float) and isinstance(high, float)
    assert ("is better than" in answer) == (low > 0)
    # In the small set one clip is longer than a crop, and its labels are ranked alike under both schemes.
    assert ("There is no difference" in answer) == (low == high == 0)


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://user:secret@github.com/owner/name.git", "https://github.com/owner/name"),
        ("git@gitlab.com:group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("/srv/git/name.git", None),
        (None, None),
    ],
)
def test_the_repositorys_page_is_told_from_the_remote(remote: str | None, url: str | None, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    if remote is not None:
        subprocess.run([*git, "remote", "add", "origin", remote], cwd=tmp_path, check=True)
    found = repository_page(tmp_path)
    assert (found and found[0]) == url
    assert found is None or len(found[1]) == 40


def test_a_folder_without_git_has_no_page(tmp_path: Path) -> None:
    assert repository_page(tmp_path) is None
