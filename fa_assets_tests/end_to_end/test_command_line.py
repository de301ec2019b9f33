"""The command line: exit codes, messages, and several folds at once."""

import re
import subprocess
from pathlib import Path

import pytest

from fa_assets.graph.recorder import Recorder
from fa_assets.settings import Settings, variable_of
from fa_assets.store.embedding_store import embedding_stores
from fa_assets_tests.command_line import COMMAND, environment, fa_assets
from fa_assets_tests.end_to_end.commands import start
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.recorded import flipped


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
    assert done.exit_code == 0, done.stderr
    assert "Everything is current" in done.stderr
    assert re.search(r"LWLRAP mc5  0\.\d{4}   folds( +\d\.\d{4}){5}", done.stdout)
    assert re.search(r"mc5 - center  [+-]0\.\d{4}", done.stdout)
    assert "UNTRAINED" in done.stdout
    assert str(settings.storage_root / "catalog.duckdb") in done.stdout
    assert "24" in done.stdout


@pytest.mark.promise("A full standard output is reported as such.", "disk")
def test_a_standard_output_that_is_full_is_no_full_storage() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "catalog", "schema"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
    assert (done.returncode, done.stderr) == (
        1,
        "Standard output cannot be written to (No space left on device).\n",
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--dataset", "nowhere"], {}, "nowhere is not a folder"),
        ([], {"FA_ENGINE": "spark"}, "FA_ENGINE='spark'"),
        (["--select", "mc5_metric"], {}, "mc5_metric"),
        (["--storage", "/proc/nothing"], {}, "cannot be used"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_exits_with_1(
    unchanged: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variables: dict[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fa_assets("run", *arguments, settings=unchanged, variables=variables)
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_exits_with_0_or_1_and_a_failed_asset_names_the_offenders(
    finished: FinishedRun, tmp_path: Path
) -> None:
    settings = finished.copy(tmp_path)
    (settings.dataset / "train_curated" / "05.wav").write_text("not audio")
    done, helped = (
        subprocess.run([COMMAND, "run", *arguments], capture_output=True, text=True, env=environment(settings))
        for arguments in ([], ["--help"])
    )
    assert done.returncode == 1
    assert "05.wav" in done.stderr
    assert "--on-bad-clip skip" in done.stderr
    assert "Traceback" not in done.stderr
    assert (helped.returncode, helped.stderr) == (0, "")


@pytest.mark.promise(
    "Processes may make several folds at once.",
    "others",
    "3 processes",
)
def test_several_folds_at_once_in_processes_of_their_own(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    catalog = Recorder(storage=str(settings.storage_root)).catalog
    (before,) = catalog.query("select count(*) n from materializations")["n"]
    said = tmp_path / "said"
    processes = [
        start(settings, "run", "--select", f"{scheme}_embeddings", "--fold", fold, "--force", output=said)
        for scheme, fold in (("mc5", "0"), ("mc5", "1"), ("center", "2"))
    ]
    for process in processes:
        process.join()
        assert process.exitcode == 0, said.read_text()
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
    assert done.exit_code == 0, done.stderr
    assert f"{before} shards merged into 1" in done.stdout
    (shard,) = store.shards()
    assert "1 shards read, 0 damaged" in fa_assets("store", "verify", settings=settings).stdout

    path = Path(store.folder / shard.name)
    path.write_bytes(flipped(path.read_bytes(), 8 * (path.stat().st_size // 3)))
    done = fa_assets("store", "verify", settings=settings)
    assert done.exit_code == 1
    assert shard.name in done.stdout
    assert "the next run computes their crops again" in done.stderr
    assert path.with_suffix(".damaged").exists()
    assert "There is no storage folder" in fa_assets("store", "verify", "--storage", str(tmp_path / "none")).stderr
    (tmp_path / "none").mkdir()
    assert "The embedding store is empty" in fa_assets("store", "verify", "--storage", str(tmp_path / "none")).stdout
