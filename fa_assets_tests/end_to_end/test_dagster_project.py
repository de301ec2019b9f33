"""Two datasets in a Dagster project that dg itself scaffolded, each by a defs.yaml of a few lines."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.store.ledger import Ledger
from fa_assets_tests.finished_run import NARROW, checkpoint
from fa_assets_tests.graph.driver import tick
from fa_assets_tests.small_dataset import make_clip, make_small_dataset

pytestmark = pytest.mark.slow

DATASETS = ("north", "south")
BIN = Path(sys.executable).parent
ALL_FOLDS = {f"dagster/asset_partition_range_{end}": fold for end, fold in (("start", "0"), ("end", "4"))}


def command(*words: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    environment |= {"PYTHONPATH": str(cwd / "src"), "VIRTUAL_ENV": sys.prefix, "DAGSTER_HOME": str(cwd.parent / "home")}
    done = subprocess.run([BIN / words[0], *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "home").mkdir()
    command("create-dagster", "project", "birds", "--no-uv-sync", cwd=folder)
    project = folder / "birds"
    for name in DATASETS:
        make_small_dataset(folder / name)
        own = project / "src" / "birds" / "defs" / name / "defs.yaml"
        own.parent.mkdir()
        own.write_text(
            f"type: fa_assets.AudioTagging\n"
            f"attributes:\n"
            f"  key_prefix: {name}\n"
            f"  dataset: ../{name}\n"
            f"  checkpoint: {checkpoint(NARROW)}\n"
            f'  pictures: "off"\n'
            f"  min_lwlrap: 0\n"
        )
    return project


def test_dg_finds_the_component_and_loads_both(project: Path) -> None:
    assert "fa_assets.AudioTagging" in command("dg", "list", "components", "--json", cwd=project)
    said = command("dg", "check", "defs", "--check-yaml", cwd=project)
    assert "validated successfully" in said and "loaded successfully" in said


def test_a_value_that_does_not_fit_is_named(project: Path, tmp_path: Path) -> None:
    file = project / "src" / "birds" / "defs" / "north" / "defs.yaml"
    text = file.read_text()
    file.write_text(text + "  scheme: nothing\n")
    try:
        with pytest.raises(AssertionError, match="scheme='nothing'"):
            command("dg", "check", "defs", cwd=project)
    finally:
        file.write_text(text)


def test_both_are_made_and_refresh_on_their_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project / "src"))
    for name in [name for name in os.environ if name.startswith("FA_") and name != "FA_SHARED_DATA"]:
        monkeypatch.delenv(name)
    definitions = dg.load_from_defs_folder(path_within_project=project / "src" / "birds" / "defs")
    with dg.DagsterInstance.local_temp(str(project.parent / "home")) as instance:
        for name in DATASETS:
            job = definitions.resolve_job_def(f"{name}_everything")
            assert job.execute_in_process(instance=instance, tags=ALL_FOLDS).success
            assets = {one.asset for one in Ledger(project / "data" / name / "ledger").entries()}
            assert {"folds", "mc5_metrics", "submission", "report"} <= assets
            assert instance.get_latest_materialization_event(dg.AssetKey([name, "report"])) is not None
        before = {name: Ledger(project / "data" / name / "ledger").ids() for name in DATASETS}
        folder = project.parent / "south"
        make_clip(folder / "train_curated" / "new.wav", ("Tone",), index=100)
        with (folder / "train_curated.csv").open("a") as labels:
            labels.write("new.wav,Tone\n")
        north, south = (tick(definitions, instance, f"{name}_refresh_what_is_stale") for name in DATASETS)
        assert isinstance(north.skip_reason, dg.SkipReason)
        (request,) = south.run_requests or ()
        assert {key.path[0] for key in request.asset_selection or ()} == {"south"}
        job, first = definitions.resolve_job_def("south_everything"), [dg.AssetKey(["south", "curated_clips"])]
        assert {*first} < {*(request.asset_selection or ())}
        assert job.execute_in_process(instance=instance, asset_selection=first, tags=request.tags).success
        assert Ledger(project / "data" / "north" / "ledger").ids() == before["north"]
        assert Ledger(project / "data" / "south" / "ledger").ids() > before["south"]
