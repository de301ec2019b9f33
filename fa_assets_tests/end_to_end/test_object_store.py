"""A whole run with its storage in an S3-compatible object store: the same numbers, kept there, and found again from
another machine."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_matrix, embedding_stores
from fa_assets.store.roots import subfolders
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.end_to_end.test_secrets import assert_no_secrets, contents
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.graph.driver import Daemon, parts_of
from fa_assets_tests.object_store import ObjectStore
from fa_assets_tests.runs import prepare_environment, recorder_of, run
from fa_assets_tests.small_dataset import N_CLIPS


@pytest.fixture(scope="module")
def settings(s3: ObjectStore, finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The finished run's dataset and weights, with everything materialized into the object store.

    Tests leave it current.
    """
    folder = tmp_path_factory.mktemp("machine")
    update = {"storage": s3.new_location(), "local": folder / "local"}
    settings = finished.settings.model_copy(update=update)
    with environment_of(settings):
        assert run(settings).failures == ()
    return settings


def test_the_numbers_are_those_of_a_local_folder(settings: Settings, finished: FinishedRun) -> None:
    here, there = ValueStore(finished.settings.storage_root), ValueStore(settings.storage_root)
    for fold in range(5):
        np.testing.assert_array_equal(
            embedding_matrix(there.read("mc5_embeddings", str(fold)).table["embedding"]),
            embedding_matrix(here.read("mc5_embeddings", str(fold)).table["embedding"]),
        )
    assert there.read("comparison").table.equals(here.read("comparison").table)


def test_what_others_need_is_in_the_object_store_and_the_rest_on_this_machine(settings: Settings) -> None:
    root = settings.storage_root
    assert {"embedding_store", "ledger", "notebook", "values"} <= set(subfolders(root))
    assert not {"dagster_home", "checkpoints", "values_for_catalog"} & set(subfolders(root))
    assert np.load((root / "notebook" / "embeddings_curated_mc5.npy").open("rb")).shape == (N_CLIPS, 2048)
    assert json.loads((root / "notebook" / "metrics_c3a_curated.json").read_text())["stage"] == "c3a_curated"
    here = {path.name for path in settings.local_root.iterdir()}
    assert {"catalog.duckdb", "dagster_home", "recordings.json"} <= here
    assert "values" not in here


def test_the_catalog_is_made_from_the_remote_ledger(settings: Settings) -> None:
    catalog = recorder_of(settings).catalog
    catalog.sync()  # another test's machine may have added to the ledger
    assert catalog.query("select count(*) n from embeddings")["n"][0] == 2 * N_CLIPS
    assert catalog.query("select count(*) n from clips")["n"][0] == N_CLIPS
    count = catalog.query("select count(*) n from materializations")["n"][0]
    catalog.path.unlink()
    assert catalog.rebuild() == count
    assert catalog.query("select count(*) n from embeddings where len(embedding) = 2048")["n"][0] == 2 * N_CLIPS


def test_the_same_command_again_finds_everything_current(settings: Settings) -> None:
    done = fa_assets("run", settings=settings)
    assert done.exit_code == 0, done.stderr
    assert "Everything is current" in done.stderr
    assert str(settings.local_root / "catalog.duckdb") in done.stdout
    assert "0 damaged" in fa_assets("store", "verify", settings=settings).stdout


def test_the_sensor_asks_the_object_store(settings: Settings) -> None:
    path = ValueStore(settings.storage_root).path("mc5_embeddings", "2")
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        daemon = Daemon(settings, instance)
        assert daemon.tick() is None
        content = path.read_bytes()
        path.unlink()
        request = daemon.tick()
        path.write_bytes(content)
    assert request is not None
    assert {("mc5_embeddings", "2"), ("mc5_oof_predictions", None)} <= parts_of(request)
    assert not {("mc5_embeddings", "1"), ("center_embeddings", "2")} & parts_of(request)


@pytest.mark.promise(
    "No token, password or key is recorded or shown: not in storage, the Dagster instance, the output, or a message.",
    "input",
    "over 50 objects in a bucket",
)
def test_the_keys_are_in_nothing_that_is_left(settings: Settings, s3: ObjectStore) -> None:
    keys = [s3.environment["AWS_ACCESS_KEY_ID"], s3.environment["AWS_SECRET_ACCESS_KEY"]]
    assert assert_no_secrets(contents(settings.storage_root), keys) > 50
    assert assert_no_secrets(contents(settings.local_root), keys) > 5
    assert any(name.endswith(".db") for name, _ in contents(settings.local_root)), "Dagster's event log was looked at"


def test_another_machine_fetches_the_weights_alone_and_a_lost_shard_costs_itself(
    settings: Settings, tmp_path: Path
) -> None:
    other = settings.model_copy(update={"local": tmp_path / "local"})
    (store,) = embedding_stores(settings.storage_root)
    keys = {name: index.keys for name, index in store.index_of(store.shards()).items()}
    lost = max(keys, key=lambda name: len(keys[name]))  # not that of the test clips
    (store.folder / lost).unlink()
    ledger = recorder_of(other).catalog.ledger
    before = ledger.ids()
    with environment_of(other):
        outcome = run(other, select="+mc5_embeddings")
        assert outcome.failures == ()
        assert {one.reason for one in outcome.planned} == {"not known to this Dagster instance"}
        assert [entry.asset for entry in ledger.entries(skip=before)] == ["cnn14_checkpoint"]
        before = ledger.ids()
        assert run(other, select="mc5_embeddings", force=True).failures == ()
    newest = list(ledger.entries(skip=before))
    assert [entry.asset for entry in newest] == ["mc5_embeddings"] * 5
    assert sum(int(str(entry.metadata["crops_computed"])) for entry in newest) == len(keys[lost])


@pytest.mark.promise(
    "An object store that cannot be used, or does not answer, is named before any work.",
    "disk",
    "4 reasons",
)
@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://no-such-bucket-here/x", "object store s3://no-such-bucket-here/x cannot be used"),
        ("nonsense://bucket/x", "not a protocol that fsspec knows"),
        ("s3://key:secret@bucket/x", "carries credentials"),
    ],
)
def test_an_object_store_that_cannot_be_used_is_said_before_any_work(
    s3: ObjectStore, tmp_path: Path, location: str, message: str
) -> None:
    settings = Settings(dataset=tmp_path, storage=location, local=tmp_path / "local")
    with pytest.raises(UserError, match=message) as caught:
        prepare_environment(settings)
    assert "secret@" not in str(caught.value)


@pytest.mark.promise("An object store that cannot be used, or does not answer, is named before any work.", "disk")
def test_an_object_store_that_does_not_answer_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    done = fa_assets("run", "--storage", "s3://bucket/x", "--local", str(tmp_path))
    assert done.exit_code == 1
    assert "object store s3://bucket/x cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
