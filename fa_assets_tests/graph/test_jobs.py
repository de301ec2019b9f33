import dagster as dg
import duckdb

from fa_assets.definitions import build_definitions
from fa_assets.settings import Settings
from fa_assets_tests.runs import recorder_of


def test_the_catalog_is_copied_by_one_job_at_a_time(settings: Settings, instance: dg.DagsterInstance) -> None:
    job = build_definitions(settings).resolve_job_def("catalog_snapshot")
    assert [node.definition.pools for node in job.nodes] == [{"catalog"}]
    recorder_of(settings).catalog.path.unlink()  # as far behind as can be
    assert job.execute_in_process(instance=instance).success
    entries = len(list((settings.storage_root / "ledger").glob("*.json")))
    for name in ("catalog.duckdb", "catalog-snapshot.duckdb"):
        with duckdb.connect(settings.local_root / name, read_only=True) as connection:
            assert connection.execute("select count(*) from materializations").fetchone() == (entries,)


def test_the_settings_are_shown_with_the_job_everything(settings: Settings) -> None:
    changed = settings.model_copy(update={"regularization_c": 4.0, "checkpoint": "https://me:secret@example.org/w.pth"})
    shown = build_definitions(changed).resolve_job_def("everything").metadata
    for name, value in {
        "regularization_c": "4.0",
        "dataset": str(settings.dataset),
        "checkpoint": "https://example.org/w.pth",
    }.items():
        assert shown[name].value == value


def test_another_file_in_the_copys_place_is_left_alone(settings: Settings, instance: dg.DagsterInstance) -> None:
    theirs = settings.local_root / "catalog-snapshot.duckdb"
    theirs.write_text("my notes")
    result = (
        build_definitions(settings)
        .resolve_job_def("catalog_snapshot")
        .execute_in_process(instance=instance, raise_on_error=False)
    )
    (failure,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "is not a copy of a catalog" in str(failure.user_failure_data.description)
    assert theirs.read_text() == "my notes"
