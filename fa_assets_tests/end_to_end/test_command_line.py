"""The command line in processes of its own: exit codes, messages, and several folds at once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fa_assets.resources.recorder import Recorder
from fa_assets.settings import Settings, variable_of
from fa_assets.storage.embedding_store import embedding_stores
from fa_assets_tests.finished_run import FinishedRun

COMMAND = Path(sys.executable).with_name("fa-assets")


def environment(settings: Settings | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    return clean if settings is None else {**clean, **settings.as_environment()}


def fa_assets(*arguments: str, settings: Settings | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, env=environment(settings), timeout=300)


def test_help_explains_every_setting_and_its_variable() -> None:
    text = fa_assets("run", "--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text
        assert variable_of(name) in text


def test_what_is_current_is_not_made_again_and_the_summary_says_where_things_are(
    finished: FinishedRun, tmp_path: Path
) -> None:
    settings = finished.copy(tmp_path)
    done = fa_assets("run", settings=settings)
    assert done.returncode == 0, done.stderr
    assert "Everything is current" in done.stderr
    assert re.search(r"LWLRAP mc5  0\.\d{4}   folds( +\d\.\d{4}){5}", done.stdout)
    assert re.search(r"mc5 - center  [+-]0\.\d{4}", done.stdout)
    assert "UNTRAINED" in done.stdout
    assert str(settings.storage_root / "catalog.duckdb") in done.stdout
    assert "24" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--dataset", "nowhere"], {}, "nowhere is not a folder"),
        ([], {"FA_DEVICE": "gpu"}, "FA_DEVICE='gpu'"),
        (["--select", "mc5_metric"], {}, "mc5_metric"),
        (["--storage", "/proc/nothing"], {}, "cannot be used"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_exits_with_1(
    finished: FinishedRun, tmp_path: Path, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    env = {**environment(finished.copy(tmp_path)), **variables}
    done = subprocess.run([COMMAND, "run", *arguments], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_asset_exits_with_1_and_names_the_offenders(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    (settings.dataset / "train_curated" / "05.wav").write_text("not audio")
    done = fa_assets("run", settings=settings)
    assert done.returncode == 1
    assert "05.wav" in done.stderr
    assert "FA_ON_BAD_CLIP=skip" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.promise("Processes may make several folds at once.", "others")
def test_several_folds_at_once_in_processes_of_their_own(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    catalog = Recorder(storage=str(settings.storage_root)).catalog
    (before,) = catalog.query("select count(*) n from materializations")["n"]
    processes = [
        subprocess.Popen(
            [COMMAND, "run", "--select", f"{scheme}_embeddings", "--fold", fold, "--force"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for scheme, fold in (("mc5", "0"), ("mc5", "1"), ("center", "2"))
    ]
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    catalog.sync()
    rows = catalog.query("select asset, partition from materializations order by finished_at desc limit 3")
    assert catalog.query("select count(*) n from materializations")["n"][0] == before + 3
    assert {tuple(row) for row in rows.to_numpy()} == {
        ("mc5_embeddings", "0"),
        ("mc5_embeddings", "1"),
        ("center_embeddings", "2"),
    }


def test_the_store_can_be_compacted_and_verified_and_damage_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    (store,) = embedding_stores(settings.storage_root)
    before = len(store.shards())
    done = fa_assets("store", "compact", "--grace", "0", settings=settings)
    assert done.returncode == 0, done.stderr
    assert f"{before} shards merged into 1" in done.stdout
    (shard,) = store.shards()
    assert "1 shards read, 0 damaged" in fa_assets("store", "verify", settings=settings).stdout

    path = Path(store.folder / shard.name)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    done = fa_assets("store", "verify", settings=settings)
    assert done.returncode == 1
    assert shard.name in done.stdout
    assert "the next run computes their crops again" in done.stderr
    assert path.with_suffix(".damaged").exists()
    assert "The embedding store is empty" in fa_assets("store", "verify", "--storage", str(tmp_path / "none")).stdout
