"""What `fa-assets lineage`, `diff` and `runs` print, on a terminal and elsewhere."""

import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from fa_assets.catalog import tracing
from fa_assets.cli import tables
from fa_assets_tests.catalog.made_up import MadeUpStorage


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStorage:
    storage = MadeUpStorage(tmp_path_factory.mktemp("storage"))
    storage.write_everything("run-1")
    storage.write_everything("run-2", seed=7)
    return storage


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_tree_of_a_metric_names_each_branch_once(storage: MadeUpStorage) -> None:
    with tracing.up_to_date(storage.catalog) as connection:
        text = tables.lineage(tracing.lineage(connection, "mc5_metrics"))
    tree = text[text.index("\nmc5_metrics\n") :].split("\n\n")[0].strip().splitlines()
    assert tree == [
        "mc5_metrics",
        "├── folds",
        "│   └── curated_clips",
        "│       └── curated_recordings (from outside)",
        "└── mc5_oof_predictions",
        "    ├── curated_clips (above)",
        "    ├── folds (above)",
        "    └── mc5_embeddings",
        "        ├── cnn14_checkpoint",
        "        ├── curated_clips (above)",
        "        └── folds (above)",
    ]
    assert "weights: sha1 abc123, origin demo, trained False" in lines(text)
    assert "folds: origin multilabel-stratified, data_version seed-7" in lines(text)
    assert "from outside: curated_recordings, data_version folder-1" in lines(text)
    assert "torch 2.13.0" in lines(text)


@pytest.mark.parametrize("made_again", [False, True])
def test_the_tree_downstream_of_the_checkpoint_shows_only_what_used_it(made_again: bool, tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    storage.write_everything()
    if made_again:  # and equal: what was made from the first one was made from these weights
        storage.write("cnn14_checkpoint", pa.table({"sha1": ["abc123"]}), run_id="run-2", data_version="abc123")
    with tracing.up_to_date(storage.catalog) as connection:
        text = tables.lineage(tracing.lineage(connection, "cnn14_checkpoint", downstream=True))
    tree = text[text.index("\ncnn14_checkpoint\n") :].split("\n\n")[0].strip().splitlines()
    assert tree == [
        "cnn14_checkpoint",
        "└── mc5_embeddings",
        "    └── mc5_oof_predictions",
        "        └── mc5_metrics",
    ]
    assert "curated_clips" not in text


def test_elsewhere_than_on_a_terminal_lines_are_whole_and_plain(storage: MadeUpStorage) -> None:
    with tracing.up_to_date(storage.catalog) as connection:
        found = tracing.lineage(connection, "latest")
        texts = [
            tables.lineage(found),
            tables.differences(tracing.differences(connection, "run-1", "run-2")),
            tables.runs(tracing.runs(connection)),
        ]
    for text in texts:
        assert "\x1b" not in text
        assert all(line == line.rstrip() for line in text.splitlines())
    for file in (file for one in found.materializations for file in one.files):
        assert f"{file.path} {file.size_bytes} {file.sha256}" in lines(texts[0])
    assert "setting folds.seed 42 7" in lines(texts[1])


def test_on_a_terminal_nothing_is_wider_than_it(storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    with tracing.up_to_date(storage.catalog) as connection:
        text = tables.lineage(tracing.lineage(connection, "latest"))
    table = text[text.index("data version") :]
    assert "───" in table
    assert max(map(len, table.splitlines())) <= 100


def test_lwlrap_is_rounded_where_runs_differ(storage: MadeUpStorage) -> None:
    with tracing.up_to_date(storage.catalog) as connection:
        found = tracing.differences(connection, "run-1", "run-2")
    one = tracing.Difference("lwlrap", "mc5", "0.8069100376181301", None)
    text = tables.differences(replace(found, differences=(one,)))
    assert lines(text)[-1] == "lwlrap mc5 0.806910 -"
