"""`fa-assets labels`, as it is called."""

import json
from pathlib import Path

import pytest

from fa_assets.intake.corrections import read_corrections
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun

TABLE = "fname,labels\na.wav,Bell\nb.wav,Rain\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train_curated.csv").write_text(TABLE)
    return tmp_path / "set"


def test_verdicts_are_applied_and_written(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("fname,class,verdict\na.wav,Rain,add\n")
    dataset = ("--dataset", str(folder))
    done = fa_assets("labels", "apply", str(table), "--who", "ada", *dataset)
    assert done.exit_code == 0, done.stderr
    assert f"1 verdicts appended to {folder}/label_corrections.csv." in done.stdout
    assert [one.who for one in read_corrections(folder)] == ["ada"]
    assert "0 verdicts appended" in fa_assets("labels", "apply", str(table), *dataset).stdout
    done = fa_assets("labels", "write-csv", *dataset)
    assert "1 labels written" in done.stdout
    assert (folder / "train_curated.csv").read_text() == 'fname,labels\na.wav,"Bell,Rain"\nb.wav,Rain\n'
    assert "nothing was written" in fa_assets("labels", "write-csv", *dataset).stdout
    table.write_text("fname,class,verdict\nz.wav,Rain,add\n")
    done = fa_assets("labels", "apply", str(table), *dataset)
    assert (done.exit_code, "'z.wav': not in train_curated.csv" in done.stderr) == (1, True)


@pytest.mark.parametrize("missing", ["nothing.json", "nothing.txt", "nothing"])
def test_what_is_not_there_is_named(folder: Path, tmp_path: Path, missing: str) -> None:
    done = fa_assets("labels", "import", str(tmp_path / missing), "--dataset", str(folder))
    assert done.exit_code == 1
    assert f"{tmp_path / missing}: no such file" in done.stderr


def test_doubts_are_exported(finished: FinishedRun, tmp_path: Path) -> None:
    done = fa_assets(
        "labels", "export", str(tmp_path / "studio"), "--format", "label-studio", settings=finished.settings
    )
    assert done.exit_code == 0, done.stderr
    tasks = json.loads((tmp_path / "studio" / "tasks.json").read_text())
    assert tasks and all(one["data"]["doubted"] for one in tasks)
    arguments = ("labels", "export", str(tmp_path / "tracks"), "--format", "audacity", "--all")
    assert fa_assets(*arguments, settings=finished.settings).exit_code == 0
    assert len(list((tmp_path / "tracks").glob("*.txt"))) == 24
    done = fa_assets("labels", "import", str(tmp_path / "tracks"), settings=finished.settings)
    assert "0 verdicts appended" in done.stdout
    assert not (finished.settings.dataset / "label_corrections.csv").exists()
