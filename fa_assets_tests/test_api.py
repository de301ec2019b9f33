"""The library: its documented examples, and tagging files as the submission says, or refused where it would mean nothing."""

import doctest
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fa_assets import api
from fa_assets.api import Tagger, open_catalog, run
from fa_assets.errors import BadInputError, UserError
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.recorded import put
from fa_assets_tests.small_dataset import CLASSES, TEST_FNAMES


def submitted(finished: FinishedRun) -> dict[str, dict[str, float]]:
    rows = ValueStore(finished.settings.storage_root).read("submission").table.to_pylist()
    return {
        row["fname"]: dict(zip(CLASSES, row["probability"], strict=True)) for row in rows if row["model"] == "final"
    }


@pytest.fixture
def folder(finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a copy of the finished run, its dataset in `clips` and its storage in `results`."""
    settings = finished.copy(tmp_path)
    settings.dataset.rename(tmp_path / "clips")
    settings.storage_root.rename(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FA_CHECKPOINT", settings.checkpoint_source)
    monkeypatch.setenv("FA_PICTURES", settings.pictures)
    monkeypatch.setenv("FA_MIN_LWLRAP", str(settings.min_lwlrap))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_documented_examples() -> None:
    results = doctest.testmod(api)
    assert results.attempted >= 5 and not results.failed, "the examples that failed are in the captured output"


def test_a_run_leaves_the_environment_as_it_was(folder: Path) -> None:
    before = dict(os.environ)
    assert run("clips", "results").planned == ()
    assert run("clips", "results", folds=[2]).planned == ()
    assert dict(os.environ) == before
    with pytest.raises(UserError, match="no asset 'metrics'"):
        run("clips", "results", select="metrics")
    assert dict(os.environ) == before


def test_a_failed_run_raises_with_what_failed(folder: Path) -> None:
    (folder / "clips" / "train_curated" / "00.wav").write_text("not audio")
    with pytest.raises(UserError, match=r"(?s)The run failed.*curated_clips.*00\.wav"):
        run("clips", "results")


@pytest.mark.usefixtures("folder")
def test_settings_that_do_not_fit_or_do_not_exist_are_named() -> None:
    with pytest.raises(UserError, match="no setting regularisation_c"):
        run("clips", "results", regularisation_c=1.0)
    with pytest.raises(UserError, match="FA_MAX_ITER='0'"):
        run("clips", "results", max_iter=0)


def test_the_catalog_is_brought_up_to_date(folder: Path) -> None:
    (folder / "results" / "catalog.duckdb").unlink()
    catalog = open_catalog("results")
    assert catalog.query("select count(*) as n from runs")["n"].tolist() == [1]


@pytest.mark.usefixtures("folder")
def test_a_query_that_is_wrong_or_gives_no_rows_is_said() -> None:
    for query in ("select nothing from nowhere", "selec 1", "create table x (a int)"):
        with pytest.raises(UserError, match="query"):
            open_catalog("results").query(query)


@pytest.mark.promise("A question makes no folder: without a storage folder it says so.", "input", "9 commands")
@pytest.mark.parametrize(
    "command",
    ["status", "runs", "lineage folds", "diff", "sql select", "catalog sync", "store verify", "report", "summary"],
)
def test_a_question_makes_no_folder(folder: Path, command: str) -> None:
    before = sorted(folder.iterdir())
    done = fa_assets(*command.split(), "--storage", str(folder / "typo"), "--dataset", str(folder / "clips"))
    assert "typo" in done.stderr or "Nothing has been materialized" in done.stdout
    with pytest.raises(UserError, match="There is no storage folder .*typo"):
        open_catalog("typo")
    assert sorted(folder.iterdir()) == before


def test_files_are_tagged_as_in_the_submission(finished: FinishedRun) -> None:
    tagger = Tagger.load(finished.settings.storage_root)
    assert tagger.classes == CLASSES
    folder = finished.settings.dataset / "test"
    expected = submitted(finished)
    tagged = tagger.tag_files([folder / fname for fname in TEST_FNAMES])
    for one in tagged:
        probabilities = [tag.probability for tag in one.tags]
        assert probabilities == sorted(probabilities, reverse=True)
        for tag in one.tags:
            assert tag.probability == pytest.approx(expected[one.path.name][tag.class_name], abs=1e-4)
    (alone,) = (tagger.tag(folder / TEST_FNAMES[0]),)
    np.testing.assert_allclose(
        [tag.probability for tag in alone], [tag.probability for tag in tagged[0].tags], atol=1e-4
    )
    # A clip of several crops: the mean over them, as its stored embedding.
    assert len(tagger.tag(finished.settings.dataset / "train_curated" / "07.wav")) == len(CLASSES)


def test_the_command_line_gives_the_same_in_words_and_in_json(finished: FinishedRun) -> None:
    file = finished.settings.dataset / "test" / TEST_FNAMES[0]
    done = fa_assets("predict", str(file), "--json", settings=finished.settings)
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["file"] == str(file)
    assert answer["classes"] == pytest.approx(submitted(finished)[TEST_FNAMES[0]], abs=1e-4)
    best = max(answer["classes"], key=answer["classes"].__getitem__)
    words = fa_assets("predict", str(file), "--top", "1", settings=finished.settings).stdout
    assert words.splitlines() == [str(file), f"  {answer['classes'][best]:.4f}  {best}"]
    refused = fa_assets("predict", str(file.with_name("nothing.wav")), settings=finished.settings)
    assert refused.exit_code == 1
    assert "There is no such file" in refused.stderr and "nothing.wav" in refused.stderr


def test_every_file_that_cannot_be_read_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(BadInputError) as caught:
        Tagger.load(finished.settings.storage_root).tag_files([tmp_path / "text.wav", tmp_path / "none.wav"])
    assert len(caught.value.offenders) == 2


def test_a_file_beyond_the_limit_is_not_read(finished: FinishedRun, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.touch()
    os.truncate(path, 20_000_000_000)
    said = fa_assets("predict", str(path), "--max-clip-gb", "19", settings=finished.settings)
    assert "long.wav: 20 GB; up to 19 are read (--max-clip-gb)" in said.output


def test_a_classifier_of_other_weights_or_damaged_or_missing_is_refused(finished: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no classifier"):
        Tagger.load(tmp_path)
    for part in ("classifiers", "ledger", "values/cnn14_checkpoint"):
        shutil.copytree(finished.settings.storage_root / part, tmp_path / part)
    value = ValueStore(tmp_path).read("cnn14_checkpoint")
    table = value.table.set_column(2, "sha1", [["0" * 40]])
    put(tmp_path, table.cast(value.table.schema), value.header)
    with pytest.raises(UserError, match="other weights"):
        Tagger.load(tmp_path)
    file = tmp_path / "classifiers" / "final.npz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        Tagger.load(tmp_path)
