"""What a run records: everything, exactly what was read, and in the ledger before Dagster is told."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from fa_assets.catalog.environment import LIBRARIES
from fa_assets.graph.asset import Asset
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.place import Place
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.work import KEEP_UNCHANGED_TAG, Made, Stored, Work
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.store.atomic import digest_file
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry
from fa_assets.store.values import Scan, TableStream, ValueHeader, ValueStore
from fa_assets_tests.catalog.made_up import dump
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.processes import run_at_once
from fa_assets_tests.recorded import put

TABLE = pa.table({"x": [1, 2]})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def put_upstream(root: Path, data_version: str, materialization_id: str) -> None:
    """Store a value of the asset `upstream`."""
    header = ValueHeader("upstream", None, data_version, "1", "run", (), materialization_id=materialization_id)
    put(root, TABLE, header)


def declared(name: str, make: Callable[..., Made | Iterable[Made]], **options: Any) -> Asset:
    return Asset(name, "clips", make, TABLE.schema, version="1", description="Of the tests.", **options)


UPSTREAM = declared("upstream", lambda work: Made(TABLE))


def place_of(root: Path) -> Place:
    return Place(DatasetFolder(KaggleDataset(root)), Recorder(storage=str(root)))


def materialize(
    assets: Sequence[Asset], root: Path, instance: dg.DagsterInstance, **tags: str
) -> dg.ExecuteInProcessResult:
    place = place_of(root)
    return dg.materialize(
        [one.to_dagster(place) for one in assets],
        instance=instance,
        tags=tags,
        raise_on_error=False,
    )


def said(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = result.get_failed_step_keys()
    data = result.failure_data_for_node(failure)
    assert data is not None and data.error is not None
    return data.error.to_string()


def test_the_ledger_has_what_was_read_and_all_about_the_work(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    put_upstream(tmp_path, "v1", "first")

    def downstream(work: Work, above: Stored) -> Made:
        with work.phase("think"):
            return Made(above.table, environment={"device": "cpu"})

    before = datetime.now(UTC)
    asset = declared("downstream", downstream, reads={"above": UPSTREAM}, settings={"seed": 42})
    result = materialize([asset], tmp_path, instance)
    assert result.success
    (entry,) = Ledger(tmp_path / "ledger").newest_of("downstream")
    assert entry.inputs == (InputVersion("upstream", None, "v1", "first"),)
    header = ValueStore(tmp_path).header("downstream")
    assert header is not None
    assert (header.materialization_id, header.inputs) == (entry.id, entry.inputs)
    assert (entry.asset, entry.partition, entry.run_id) == ("downstream", None, result.run_id)
    assert before <= entry.started_at <= entry.finished_at <= datetime.now(UTC)
    assert (entry.code_version, entry.settings) == ("1 seed=42", {"seed": 42})
    assert entry.environment["device"] == "cpu"
    assert set(LIBRARIES) <= set(entry.environment)
    assert {"read", "think", "write"} == set(entry.timings)
    (file,) = entry.files
    digest = digest_file(tmp_path / file.path)
    assert (file.size_bytes, file.sha256) == (digest.size_bytes, digest.sha256)


def test_a_value_that_is_made_again_meanwhile_is_not_read(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    put_upstream(tmp_path, "v1", "first")

    def downstream(work: Work, above: Stored) -> Made:
        put_upstream(tmp_path, "v2", "second")  # as a run beside this one would
        return Made(above.table)

    result = materialize([declared("downstream", downstream, reads={"above": UPSTREAM})], tmp_path, instance)
    assert "upstream was made again while downstream was reading it: start it again" in said(result)
    assert not list(Ledger(tmp_path / "ledger").newest_of("downstream"))


def test_a_value_that_is_made_again_meanwhile_from_the_same_inputs_is_read(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    put_upstream(tmp_path, "v1", "first")

    def downstream(work: Work, above: Stored) -> Made:
        put_upstream(tmp_path, "v1", "second")
        return Made(above.table)

    assert materialize([declared("downstream", downstream, reads={"above": UPSTREAM})], tmp_path, instance).success
    (entry,) = Ledger(tmp_path / "ledger").newest_of("downstream")
    assert [one.data_version for one in entry.inputs] == ["v1"]


def test_a_stream_is_made_while_it_is_written_and_each_is_timed_by_itself(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    put_upstream(tmp_path, "v1", "first")

    def streamed(work: Work, above: Stored) -> Iterator[Made]:
        def parts(scan: Scan) -> Iterator[pa.Table]:
            for part in scan.parts:
                with work.phase("think"):
                    time.sleep(0.1)
                yield part

        with above.scan(None) as scan:
            yield Made(TableStream(TABLE.schema, scan.num_rows, parts(scan)), version="v1")

    assert materialize([declared("streamed", streamed, reads={"above": UPSTREAM})], tmp_path, instance).success
    assert ValueStore(tmp_path).read("streamed").table.equals(TABLE)
    (entry,) = Ledger(tmp_path / "ledger").newest_of("streamed")
    assert entry.metadata["rows"] == len(TABLE)
    assert entry.inputs == (InputVersion("upstream", None, "v1", "first"),)
    assert entry.timings["think"] >= 0.1
    assert sum(entry.timings.values()) <= (entry.finished_at - entry.started_at).total_seconds()


@pytest.mark.parametrize("changed", ["nothing", "inputs", "settings", "no tag"])
def test_a_refresh_keeps_a_value_whose_inputs_and_recipe_are_as_they_were(
    changed: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made: list[str] = []

    def downstream(work: Work, above: Stored) -> Made:
        made.append(work.run_id)
        return Made(above.table)

    asset = declared("downstream", downstream, reads={"above": UPSTREAM}, settings={"seed": 1})
    put_upstream(tmp_path, "v1", "first")
    assert materialize([asset], tmp_path, instance).success
    put_upstream(tmp_path, "v2" if changed == "inputs" else "v1", "second")
    if changed == "settings":
        asset = replace(asset, settings={"seed": 2})
    tags = {} if changed == "no tag" else {KEEP_UNCHANGED_TAG: "yes"}
    assert materialize([asset], tmp_path, instance, **tags).success
    assert (
        len(made)
        == len(list(Ledger(tmp_path / "ledger").newest_of("downstream")))
        == (1 if changed == "nothing" else 2)
    )
    event = instance.get_latest_materialization_event(dg.AssetKey(asset.name))
    assert event is not None and event.asset_materialization is not None
    assert ("kept" in event.asset_materialization.metadata) == (changed == "nothing")
    header = ValueStore(tmp_path).header("downstream")
    assert header is not None
    assert (event.asset_materialization.tags or {})["dagster/data_version"] == header.data_version


def test_the_ledger_is_written_before_dagster_is_told(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("Dagster is gone")

    monkeypatch.setattr(dg.AssetExecutionContext, "add_asset_metadata", fail)
    assert not materialize([UPSTREAM], tmp_path, instance).success
    assert instance.get_latest_materialization_event(dg.AssetKey(UPSTREAM.name)) is None
    (entry,) = Ledger(tmp_path / "ledger").entries()
    assert entry.asset == "upstream"
    assert len(Recorder(storage=str(tmp_path)).catalog.query("from materializations")) == 1


def test_without_a_ledger_entry_dagster_is_not_told(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    (tmp_path / "ledger").write_text("a file where the folder should be")
    assert not materialize([UPSTREAM], tmp_path, instance).success
    assert instance.get_latest_materialization_event(dg.AssetKey(UPSTREAM.name)) is None


def materialize_in_a_process_of_its_own(root: Path, number: int) -> None:
    everyones = declared("everyones", lambda work: Made(TABLE), settings={"number": number})
    own = declared(f"own_{number}", lambda work, above: Made(TABLE), reads={"above": everyones})
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize([everyones, own], root, instance)
        assert result.success or "Another run made it meanwhile" in said(result)


PROCESSES = 5


@pytest.mark.promise(
    "Processes with different settings that materialize at once lose no row; none reads what another one's settings "
    "made.",
    "others",
    "5 processes",
)
@pytest.mark.slow
def test_processes_that_materialize_at_once_lose_no_row(tmp_path: Path) -> None:
    run_at_once(*((materialize_in_a_process_of_its_own, tmp_path, number) for number in range(PROCESSES)))
    catalog = Recorder(storage=str(tmp_path)).catalog
    catalog.sync()
    before = dump(catalog)
    made = {one.id: one for one in catalog.ledger.entries()}
    assert {one.settings["number"] for one in made.values() if one.asset == "everyones"} == set(range(PROCESSES))
    assert sorted(row[0] for row in before["materializations"]) == sorted(made)
    readers = [one for one in made.values() if one.asset != "everyones"]
    assert readers, "the last one reads its own"
    for one in readers:
        (read,) = one.inputs
        assert one.asset == f"own_{made[str(read.source_id)].settings['number']}"
    catalog.rebuild()
    assert dump(catalog) == before


def test_a_whole_run_is_in_the_ledger_one_entry_for_each_materialization(finished: FinishedRun) -> None:
    root = finished.settings.storage_root
    entries = list(Ledger(root / "ledger").entries())
    recorded = {(one.asset, one.partition): one for one in entries}
    assert len(recorded) == len(entries)
    told: dict[tuple[str, str | None], str] = {}
    with environment_of(finished.settings), dg.DagsterInstance.get() as instance:
        for log in instance.all_logs(entries[0].run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = log.asset_materialization
            assert event is not None
            part = event.asset_key.to_user_string(), event.partition
            told[part] = (event.tags or {})["dagster/data_version"]
            assert recorded[part].finished_at.timestamp() <= log.timestamp
    assert {part: one.data_version for part, one in recorded.items()} == told
    for entry in entries:
        check_whole(entry, recorded, root)


def check_whole(entry: LedgerEntry, recorded: dict[tuple[str, str | None], LedgerEntry], root: Path) -> None:
    """Every part of a real entry says something true."""
    assert entry.environment["torch"] and entry.timings and entry.files and entry.metadata
    for file in entry.files:
        assert digest_file(root / file.path).sha256 == file.sha256
    for read in entry.inputs:
        if read.asset in ("curated_recordings", "test_recordings"):  # from outside
            assert read.source_id is None
        else:
            source = recorded[(read.asset, read.partition)]
            assert (read.source_id, read.data_version) == (source.id, source.data_version)
