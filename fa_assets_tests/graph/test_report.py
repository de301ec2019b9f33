"""The report of the small finished run, and the audit it shows."""

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from fa_assets.cli.summary import print_summary, scheme_results
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.small_dataset import CLASSES


@pytest.fixture(scope="module")
def page(illustrated: FinishedRun) -> Path:
    (row,) = ValueStore(illustrated.settings.storage_root).read("report").table.to_pylist()
    path = illustrated.settings.storage_root / row["path"]
    assert path.name == f"{illustrated.outcome.run_id}.html"
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def test_the_report_has_the_figures_tables_settings_lineage_and_sounds(page: Path, illustrated: FinishedRun) -> None:
    html = page.read_text()
    results = scheme_results(illustrated.settings.storage_root)
    assert f'<dt>LWLRAP</dt><dd class="value">{results["mc5"].overall:.4f}</dd>' in html
    assert "The weights are untrained" in html
    judged = re.search(r"(\d+) of (\d+) checks passed; for weights_trained see", html)
    assert judged is not None and int(judged[2]) > 20 and int(judged[2]) > int(judged[1]), "the weights are untrained"
    (on_test,) = (
        row["value"]
        for row in ValueStore(illustrated.settings.storage_root).read("test_metrics").table.to_pylist()
        if (row["model"], row["metric"], row["scope"]) == ("final", "lwlrap", "all")
    )
    assert f'<dt>LWLRAP on the test set</dt><dd class="value">{on_test:.4f}</dd>' in html
    assert html.count('<figure><svg role="img"') >= 8
    assert html.count("<circle ") == ValueStore(illustrated.settings.storage_root).read("folds").table.num_rows
    for name in (*CLASSES, "on_bad_clip", "max_iter", "scikit-learn", "git_commit", illustrated.outcome.run_id):
        assert name in html, name
    values = ValueStore(illustrated.settings.storage_root)
    for asset, fold in (("curated_clips", None), ("cnn14_checkpoint", None), ("mc5_embeddings", "3"), ("folds", None)):
        header = values.header(asset, fold)
        assert header is not None and header.data_version in html, asset
    audit = values.read("label_audit").table.to_pylist()
    clips = list(dict.fromkeys(row["fname"] for row in audit))
    assert html.count("<audio") > min(12, len(clips)) > 0, "those of the confusions too"
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)


def test_the_audit_is_the_same_in_the_csv_and_ranked(illustrated: FinishedRun) -> None:
    storage = illustrated.settings.storage_root
    rows = ValueStore(storage).read("label_audit").table.to_pylist()
    with (storage / "label_audit" / "label_audit.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["fname"] for row in written] == [row["fname"] for row in rows]
    np.testing.assert_allclose([float(row["margin"]) for row in written], [row["margin"] for row in rows])
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    margins = [row["margin"] for row in rows]
    assert margins == sorted(margins, reverse=True)
    for row in rows:
        assert (row["class_name"] in row["labels"].split(",")) == (row["kind"] == "wrong label")


def test_the_summary_names_the_report(page: Path, illustrated: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(illustrated.settings)
    assert f"report  {page}\n" in capsys.readouterr().out


def test_the_command_prints_where_the_newest_report_is(page: Path, illustrated: FinishedRun, tmp_path: Path) -> None:
    done = fa_assets("report", "--storage", str(illustrated.settings.storage_root))
    assert (done.exit_code, done.stdout.strip()) == (0, str(page))
    none = fa_assets("report", "--storage", str(tmp_path))
    assert none.exit_code == 1
    assert "report has not been materialized yet" in none.stderr
