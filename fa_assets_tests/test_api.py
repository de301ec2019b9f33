"""Tagging files: as the submission says, through the library and the command line; and refused where it would mean nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fa_assets.api import Tagger
from fa_assets.errors import BadInputError, UserError
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.small_dataset import CLASSES, TEST_FNAMES


def submitted(finished: FinishedRun) -> dict[str, dict[str, float]]:
    rows = ValueStore(finished.settings.storage_root).read("submission").table.to_pylist()
    return {
        row["fname"]: dict(zip(CLASSES, row["probability"], strict=True)) for row in rows if row["model"] == "final"
    }


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
    assert refused.exit_code == 1 and "nothing.wav: no such file" in refused.stderr


def test_every_file_that_cannot_be_read_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(BadInputError) as caught:
        Tagger.load(finished.settings.storage_root).tag_files([tmp_path / "text.wav", tmp_path / "none.wav"])
    assert len(caught.value.offenders) == 2


def test_a_classifier_of_other_weights_or_damaged_or_missing_is_refused(finished: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no classifier"):
        Tagger.load(tmp_path)
    for part in ("classifiers", "values/cnn14_checkpoint"):
        shutil.copytree(finished.settings.storage_root / part, tmp_path / part)
    store = ValueStore(tmp_path)
    value = store.read("cnn14_checkpoint")
    table = value.table.set_column(2, "sha1", [["0" * 40]])
    store.write(table.cast(value.table.schema), value.header)
    with pytest.raises(UserError, match="other weights"):
        Tagger.load(tmp_path)
    file = tmp_path / "classifiers" / "final.npz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        Tagger.load(tmp_path)
