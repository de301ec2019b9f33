"""From wrong labels to a better model by the review page, with a trained encoder and real clips: as docs/ui.md tells it."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from fa_assets.intake.labels import join_labels
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.predictions import predictions_of
from fa_assets.settings import Settings
from fa_assets.store.values import ValueStore
from fa_assets_tests.end_to_end.pages import CHROMIUM, HOW_TO_INSTALL, REQUIRED, Pages, browsing
from fa_assets_tests.end_to_end.ui_server import serving, wait_for
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import run

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason=HOW_TO_INSTALL)]

WRONG, LISTENED, SEED = 10, 40, 7
SCREENSHOTS = Path(os.environ["FA_SCREENSHOTS"]) if os.environ.get("FA_SCREENSHOTS") else None

Labels = dict[str, set[str]]


def read_csv(path: Path) -> Labels:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["fname"]: set(row["labels"].split(",")) for row in csv.DictReader(file)}


def made_wrong(dataset: Path, truth: Labels) -> set[str]:
    """Give ten clips of one label another one in the dataset's CSV file; their names."""
    rng = np.random.default_rng(SEED)
    classes = sorted(set().union(*truth.values()))
    names = {
        str(one) for one in rng.choice([name for name, own in truth.items() if len(own) == 1], WRONG, replace=False)
    }
    given = {
        name: {str(rng.choice([one for one in classes if one not in own]))} if name in names else own
        for name, own in truth.items()
    }
    with (dataset / "train_curated.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("fname", "labels"), *((name, join_labels(sorted(own))) for name, own in given.items())])
    return names


def against_the_truth(values: ValueStore, truth: Labels) -> float:
    """LWLRAP of the out-of-fold predictions by the labels that are right."""
    stored = values.read("tiles_oof_predictions")
    found = predictions_of(stored.table, stored.header.details["classes"])
    right = np.array([[name in truth[fname] for name in found.classes] for fname in found.fnames])
    return lwlrap_sums(right, found.logits).overall


def review(pages: Pages, truth: Labels) -> int:
    """Decide what is doubted most, by what is right; how many labels were corrected."""
    tab, corrected = pages.page, 0
    pages.go("/review", "doubted labels decided")
    for _ in range(LISTENED):
        tab.locator("#neighbours li").first.wait_for()
        doubt = tab.locator("#list button[aria-current]")
        class_name = str(doubt.locator("b").text_content())
        fname, kind = str(doubt.locator("small").text_content()).rsplit(", looks ", 1)
        is_right = (class_name in truth[fname]) == (kind == "wrong")
        key, said = ("y", "kept") if is_right else ("a", "added") if kind == "missing" else ("n", "removed")
        if key == "n":
            for name in sorted(truth[fname]):
                if (button := tab.locator(f".change:enabled[aria-label='add {name}']")).count():
                    button.click()
                    pages.text(f"{name}, {fname}: added.").wait_for()
                    corrected += 1
        tab.keyboard.press(key)
        pages.text(f"{class_name}, {fname}: {said}.").wait_for()
        corrected += not is_right
    return corrected


def test_ten_wrong_labels_are_found_and_corrected(birdnet_weights: Path, shared_data: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(shared_data / "esc10_kaggle", dataset)
    truth = read_csv(dataset / "train_curated.csv")
    wrong = made_wrong(dataset, truth)
    settings = Settings(
        dataset=dataset,
        storage=tmp_path / "storage",
        encoder="birdnet",
        checkpoint=str(birdnet_weights),
        scheme="tiles",
        automation="stopped",
        pictures="off",
    )
    values = ValueStore(settings.storage_root)
    with environment_of(settings):
        run(settings)
    before = against_the_truth(values, truth)
    doubted = values.read("label_audit").table["fname"].to_pylist()
    with (
        serving(settings.as_environment(), tmp_path / "ui.log") as server,
        browsing(server.url, SCREENSHOTS) as pages,
    ):
        corrected = review(pages, truth)
        pages.keep("walk_through")
        pages.button("Refresh now").click()
        pages.text("A refresh is running").wait_for()
        wait_for("the run ends", lambda: not server.runs_going())
        pages.text("The results were made again").wait_for()
        pages.keep("walk_through_after")
        pages.go("/review", "in the run before")
        said = str(pages.page.locator("#progress-text").text_content())
        assert pages.errors == []
    after = against_the_truth(values, truth)
    now = {row["fname"]: set(row["labels"]) for row in values.read("folds").table.to_pylist()}
    right = {name for name in wrong if now[name] == truth[name]}
    pages.note(
        "walk_through",
        {
            "wrong_clips_in_the_first_doubts": len(wrong & set(doubted[:LISTENED])),
            "labels_corrected": corrected,
            "wrong_clips_now_right": len(right),
            "lwlrap_by_the_true_labels": [before, after],
            "page": said,
        },
    )
    assert {name for name in truth if name not in wrong and now[name] != truth[name]} == set()
    assert len(right) >= 8
    assert after > before
