"""Targets as people name them, lineage both ways, and answers while the catalog is open elsewhere."""

import json
import os
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from fa_assets.catalog import tracing
from fa_assets.errors import UserError
from fa_assets_tests.catalog.made_up import MadeUpStorage
from fa_assets_tests.catalog.test_database import held_by_another_process


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStorage:
    """Three runs: "aa-1" and "ab-2" of everything, "b-3" of one asset."""
    storage = MadeUpStorage(tmp_path_factory.mktemp("storage"))
    storage.write_everything("aa-1")
    storage.write_everything("ab-2", seed=7)
    storage.write("center_embeddings", pa.table({"x": [1]}), partition="0", run_id="b-3", id="20990101T0Z-0123")
    storage.catalog.sync()
    return storage


def ids(storage: MadeUpStorage, where: str) -> list[str]:
    return list(storage.catalog.query(f"select id from materializations where {where} order by id")["id"])


def resolve(storage: MadeUpStorage, target: str) -> list[str]:
    with storage.catalog.connect() as connection:
        return tracing.resolve(connection, target)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("mc5_metrics", "asset = 'mc5_metrics' and run_id = 'ab-2'"),
        ("mc5_embeddings", "asset = 'mc5_embeddings' and run_id = 'ab-2'"),
        ("mc5_embeddings[1]", "asset = 'mc5_embeddings' and run_id = 'ab-2' and partition = '1'"),
        ("20990101T0Z-0123", "run_id = 'b-3'"),
        ("20990101", "run_id = 'b-3'"),
        ("aa-1", "run_id = 'aa-1'"),
        ("ab", "run_id = 'ab-2'"),
        ("latest", "run_id = 'ab-2'"),
        ("previous", "run_id = 'aa-1'"),
    ],
)
def test_what_a_target_names(target: str, where: str, storage: MadeUpStorage) -> None:
    expected = ids(storage, where)
    assert expected
    assert resolve(storage, target) == expected


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mc5_metric", "'mc5_metric' is not a run.*the assets that have been materialized are center_embeddings, "),
        ("mc5_embeddings[7]", r"'mc5_embeddings\[7\]' is not a run"),
        ("a", "'a' is the beginning of several run ids: `fa-assets runs` lists them"),
        ("20", "20 is the beginning of 15 materialization ids: give more of it"),
    ],
)
def test_what_names_nothing_or_too_much(target: str, message: str, storage: MadeUpStorage) -> None:
    with pytest.raises(UserError, match=message):
        resolve(storage, target)


def test_an_id_that_begins_as_another_is_still_itself(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    for run_id in ("run-1", "run-11"):
        storage.write_clips(run_id=run_id)
    storage.catalog.sync()
    with storage.catalog.connect() as connection:
        assert tracing.resolve_run(connection, "run-1") == "run-1"
        assert tracing.resolve_run(connection, "run-11") == "run-11"


def test_there_is_no_previous_run_of_one(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    storage.write_everything()
    storage.write_clips(run_id="run-2")
    storage.catalog.sync()
    with storage.catalog.connect() as connection, pytest.raises(UserError, match="no previous run: 1 made metrics"):
        tracing.differences(connection, "previous", "latest")


def test_lineage_has_all_of_it_as_it_is_in_the_ledger(storage: MadeUpStorage) -> None:
    with storage.catalog.connect() as connection:
        found = tracing.lineage(connection, "mc5_metrics")
    assert [one.id for one in found.materializations] == ids(storage, "run_id = 'ab-2'")
    assert found.targets == tuple(ids(storage, "asset = 'mc5_metrics' and run_id = 'ab-2'"))
    for one in found.materializations:
        entry = storage.ledger.read(one.id)
        for name in (
            "asset",
            "partition",
            "run_id",
            "finished_at",
            "code_version",
            "data_version",
            "files",
            "metadata",
        ):
            assert getattr(one, name) == getattr(entry, name), name
        read = {(i.asset, i.partition, i.data_version) for i in entry.inputs}
        assert {(i.asset, i.partition, i.data_version) for i in one.inputs} == read
        assert one.settings == {name: str(value) for name, value in entry.settings.items()}
        assert (one.environment, one.timings) == (entry.environment, entry.timings)
    assert json.loads(tracing.to_json(found))["materializations"][0]["asset"] == "curated_clips"


def test_downstream_of_the_checkpoint(storage: MadeUpStorage) -> None:
    with storage.catalog.connect() as connection:
        found = tracing.lineage(connection, "cnn14_checkpoint", downstream=True)
    used = "asset in ('mc5_embeddings', 'mc5_oof_predictions', 'mc5_metrics')"
    assert {one.id for one in found.materializations} == {*ids(storage, used), *found.targets}


def test_the_runs_newest_first_with_what_they_found(storage: MadeUpStorage) -> None:
    with storage.catalog.connect() as connection:
        found = tracing.runs(connection)
    assert [(run.run_id, run.materializations) for run in found] == [("b-3", 1), ("ab-2", 7), ("aa-1", 7)]
    assert found[0].lwlrap == {}
    assert found[1].lwlrap == {"mc5": pytest.approx(0.63)}


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["held = duckdb.connect(path)", "held = duckdb.connect(path, read_only=True)"])
def test_answers_are_current_also_while_the_catalog_is_open_elsewhere(
    hold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_SYNC_TIMEOUT_S", 0.1)
    storage = MadeUpStorage(tmp_path)
    storage.write_everything("run-1")
    storage.catalog.sync()
    with held_by_another_process(hold, storage.catalog.path):
        storage.write_clips(run_id="run-2")
        with tracing.up_to_date(storage.catalog) as connection:
            assert [run.run_id for run in tracing.runs(connection)] == ["run-2", "run-1"]
    with tracing.up_to_date(storage.catalog) as connection:
        assert tracing.resolve_run(connection, "latest") == "run-1", "the last that made metrics"
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("delete from materializations")


def test_a_folder_that_cannot_be_written_can_be_asked(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    storage.write_clips()
    (tmp_path / "catalog.duckdb.lock").mkdir()  # so that opening it fails, also for root
    with tracing.up_to_date(storage.catalog) as connection:
        assert tracing.lineage(connection, "curated_clips").targets == tuple(storage.ledger.ids())
    assert not storage.catalog.path.exists()


@pytest.mark.slow
def test_times_are_utc_whatever_the_zone_of_the_machine(storage: MadeUpStorage) -> None:
    program = (
        "import sys, pathlib; from fa_assets.catalog import tracing\n"
        "from fa_assets_tests.catalog.made_up import MadeUpStorage\n"
        "with tracing.up_to_date(MadeUpStorage(pathlib.Path(sys.argv[1])).catalog) as connection:\n"
        "    print(tracing.to_json(tracing.lineage(connection, 'mc5_metrics')))"
    )
    environment = {**os.environ, "TZ": "America/New_York"}
    done = subprocess.run(
        [sys.executable, "-c", program, storage.root], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (target,) = ids(storage, "asset = 'mc5_metrics' and run_id = 'ab-2'")
    newest = json.loads(done.stdout)["materializations"][-1]
    assert newest["finished_at"] == storage.ledger.read(target).finished_at.astimezone(UTC).isoformat()
    assert newest["finished_at"].endswith("+00:00")


def test_before_anything_is_materialized_that_is_what_is_said(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    with pytest.raises(UserError, match="Nothing has been materialized"), tracing.up_to_date(storage.catalog):
        pass
    assert not storage.catalog.path.exists()
