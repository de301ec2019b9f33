"""What the review page asks for, and what it posts."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from fa_assets.intake.corrections import NAME, Correction, append_corrections, correcting, in_force, read_corrections
from fa_assets.metrics.predictions import predictions_of
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.roots import open_root
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.object_store import ObjectStore
from fa_assets_tests.recorded import put
from fa_assets_tests.web.conftest import Reviewed, served


def doubts_of(reviewed: Reviewed) -> list[dict[str, Any]]:
    return list(reviewed.client.get("/review/doubts").json()["doubts"])


def about(reviewed: Reviewed, fname: str, class_name: str) -> dict[str, Any]:
    return dict(reviewed.client.get("/review/clip", params={"fname": fname, "class": class_name}).json())


def post(reviewed: Reviewed, doubt: dict[str, Any], verdict: str, **more: str) -> Any:
    body = {"fname": doubt["fname"], "class": doubt["class"], "verdict": verdict, **more}
    return reviewed.client.post("/review/verdicts", json=body)


def test_the_page_is_there_and_says_where_verdicts_go(reviewed: Reviewed) -> None:
    page = reviewed.client.get("/review")
    assert page.status_code == 200
    assert str(reviewed.settings.dataset / NAME) in page.text


def test_without_an_audit_the_page_says_what_makes_one(empty: Any) -> None:
    page = empty.get("/review")
    assert page.status_code == 404
    assert "label_audit" in page.text
    assert "fa-assets run" in page.text


def test_doubts_are_those_of_the_audit(reviewed: Reviewed) -> None:
    audit = ValueStore(reviewed.settings.storage_root).read("label_audit").table
    found = doubts_of(reviewed)
    assert [(one["fname"], one["class"], one["kind"]) for one in found] == list(
        zip(*(audit[name].to_pylist() for name in ("fname", "class_name", "kind")), strict=True)
    )
    assert found
    assert {one["verdict"] for one in found} == {None}


def test_what_is_said_of_a_clip_is_what_is_stored(reviewed: Reviewed) -> None:
    values = ValueStore(reviewed.settings.storage_root)
    stored = values.read("mc5_oof_predictions")
    predictions = predictions_of(stored.table, stored.header.details["classes"])
    embeddings = np.concatenate(
        [embedding_matrix(values.read("mc5_embeddings", str(fold)).table["embedding"]) for fold in range(5)]
    )
    unit = (embeddings - embeddings.mean(axis=0)) / np.maximum(embeddings.std(axis=0), 1e-12)
    row = list(predictions.fnames).index("00.wav")
    expected = np.array([one @ unit[row] / np.linalg.norm(one) / np.linalg.norm(unit[row]) for one in unit])
    said = about(reviewed, "00.wav", "Sweep")
    assert sorted(said["labels"]) == ["Noise", "Tone"]
    assert list(said["top"].values()) == sorted(predictions.probabilities[row], reverse=True)
    others = [*said["duplicates"], *said["neighbours"]]
    assert "00.wav" not in {one["fname"] for one in others}
    assert others[0]["fname"] == predictions.fnames[np.argsort(-expected)[1]]
    for one in others:
        assert one["similarity"] == pytest.approx(expected[list(predictions.fnames).index(one["fname"])], abs=1e-4)


def test_each_part_of_a_long_clip_is_judged_by_the_model_that_did_not_see_it(reviewed: Reviewed) -> None:
    """Five crops of 10 s in a clip of 11 s, whose mean is the clip's embedding; logits are linear in it."""
    said = about(reviewed, "07.wav", "Sweep")
    places = [(one["start"], one["end"]) for one in said["crops"]]
    assert places == [(0, 10), (0.25, 10.25), (0.5, 10.5), (0.75, 10.75), (1, 11)]
    logits = [np.log(one["probability"] / (1 - one["probability"])) for one in said["crops"]]
    whole = said["top"]["Sweep"]
    assert np.mean(logits) == pytest.approx(np.log(whole / (1 - whole)), abs=1e-3)
    assert len(about(reviewed, "00.wav", "Sweep")["crops"]) == 1


def test_the_storage_may_be_an_object_store(finished: FinishedRun, s3: ObjectStore, tmp_path: Path) -> None:
    root = open_root(s3.new_location())
    assert isinstance(root, UPath)
    for folder in ("values", "ledger", "classifiers", "embedding_store"):
        root.fs.put(str(finished.settings.storage_root / folder), f"{root.path}/{folder}", recursive=True)
    settings = finished.settings.model_copy(update={"storage": str(root), "local": tmp_path})
    here, there = (Reviewed(served(one, tmp_path), one, tmp_path) for one in (finished.settings, settings))
    assert doubts_of(there) == doubts_of(here)
    assert about(there, "07.wav", "Sweep") == about(here, "07.wav", "Sweep")
    assert len(about(there, "07.wav", "Sweep")["crops"]) == 5


def test_near_duplicates_begin_at_the_setting(reviewed: Reviewed) -> None:
    everything = about(reviewed, "00.wav", "Tone")
    similar = sorted(one["similarity"] for one in everything["duplicates"] + everything["neighbours"])
    between = (similar[-2] + similar[-1]) / 2
    settings = reviewed.settings.model_copy(update={"duplicate_similarity": between})
    said = about(replace(reviewed, client=served(settings, reviewed.scratch)), "00.wav", "Tone")
    assert [one["similarity"] for one in said["duplicates"]] == similar[-1:]
    assert len(said["neighbours"]) == 6
    assert all(one["similarity"] < between for one in said["neighbours"])


@pytest.mark.parametrize("who", ["Ada", ""])
def test_a_verdict_is_appended_and_undone(reviewed: Reviewed, who: str) -> None:
    doubt = doubts_of(reviewed)[0]
    said = post(reviewed, doubt, "unsure", who=who, why="rain, perhaps").json()
    assert said["verdict"] | {"when": ""} == {"verdict": "unsure", "who": who, "when": "", "why": "rain, perhaps"}
    (one,) = read_corrections(reviewed.settings.dataset)
    assert (one.fname, one.class_name, one.verdict, one.who) == (doubt["fname"], doubt["class"], "unsure", who)
    assert doubts_of(reviewed)[0]["verdict"]["verdict"] == "unsure"
    assert post(reviewed, doubt, "undo").json()["verdict"] is None
    assert doubts_of(reviewed)[0]["verdict"] is None
    assert len(read_corrections(reviewed.settings.dataset)) == 2, "append-only"


def test_corrections_wait_until_the_labels_have_them(reviewed: Reviewed) -> None:
    doubts = doubts_of(reviewed)
    missing = next(one for one in doubts if one["kind"] == "missing label")
    wrong = next(one for one in doubts if one["kind"] == "wrong label")
    assert post(reviewed, missing, "keep").json()["waiting"] == 0
    assert post(reviewed, missing, "add").json()["waiting"] == 1
    assert post(reviewed, wrong, "remove").json()["waiting"] == 2
    assert post(reviewed, wrong, "undo").json()["waiting"] == 1
    assert post(reviewed, wrong, "remove").json()["waiting"] == 2
    assert post(reviewed, wrong, "keep").json()["waiting"] == 1  # the label as the page shows it
    assert reviewed.client.get("/review/state").json()["waiting"] == 1
    assert about(reviewed, missing["fname"], missing["class"])["verdicts"] == {missing["class"]: "add"}


def test_a_correction_undone_after_the_results_have_it_waits_too(reviewed: Reviewed) -> None:
    absent = next(one for one in doubts_of(reviewed) if one["kind"] == "missing label")
    removed = Correction(absent["fname"], absent["class"], "remove", "Ada", "", "")
    append_corrections(reviewed.settings.dataset, [removed])
    assert reviewed.client.get("/review/state").json()["waiting"] == 0
    assert post(reviewed, absent, "undo").json()["waiting"] == 1
    assert post(reviewed, absent, "unsure").json()["waiting"] == 1
    assert post(reviewed, absent, "keep").json()["waiting"] == 0  # absent, as the page shows it
    assert correcting(read_corrections(reviewed.settings.dataset)).popitem()[1].verdict == "remove"


def test_figures_of_other_predictions_are_not_shown(reviewed: Reviewed) -> None:
    """Within a refresh the audit may be there before the figures."""
    values = ValueStore(reviewed.settings.storage_root)
    metrics = values.read("mc5_metrics")
    assert len(reviewed.client.get("/review/doubts").json()["lwlrap"]) == 1
    others = tuple(replace(one, data_version="of before") for one in metrics.header.inputs)
    put(values.root, metrics.table, replace(metrics.header, inputs=others))
    assert reviewed.client.get("/review/doubts").json()["lwlrap"] == []


def test_clips_that_no_label_is_left_of_are_named(reviewed: Reviewed) -> None:
    folds = ValueStore(reviewed.settings.storage_root).read("folds").table.to_pylist()
    fname, own = next((row["fname"], row["labels"]) for row in folds if len(row["labels"]) == 2)
    other = next(name for row in folds for name in row["labels"] if name not in own)
    first, second, added = ({"fname": fname, "class": name} for name in (*own, other))
    assert post(reviewed, first, "remove").json()["unlabelled"] == []
    assert post(reviewed, second, "remove").json()["unlabelled"] == [fname]
    assert reviewed.client.get("/review/state").json()["unlabelled"] == [fname]
    assert post(reviewed, added, "add").json()["unlabelled"] == []
    post(reviewed, added, "undo")
    assert post(reviewed, second, "undo").json()["unlabelled"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"keep"',
        b"{",
        b'{"fname": 1, "class": "Tone", "verdict": "keep"}',
        json.dumps({"fname": "../../secret", "class": "Tone", "verdict": "keep"}).encode(),
        json.dumps({"fname": "00.wav", "class": "no such", "verdict": "keep"}).encode(),
        json.dumps({"fname": "00.wav", "class": "Tone", "verdict": "delete"}).encode(),
        json.dumps({"fname": "00.wav", "class": "Tone", "verdict": "keep", "why": "x" * 70_000}).encode(),
        b"\xff\xfe",
    ],
)
def test_what_is_no_verdict_is_refused_and_nothing_written(reviewed: Reviewed, body: bytes) -> None:
    answer = reviewed.client.post("/review/verdicts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not (reviewed.settings.dataset / NAME).exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"host": "evil.example"},
    ],
)
def test_verdicts_of_other_pages_are_refused(reviewed: Reviewed, headers: dict[str, str]) -> None:
    body = json.dumps({"fname": "00.wav", "class": "Tone", "verdict": "remove"})
    answer = reviewed.client.post(
        "/review/verdicts", content=body, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == 403
    assert not (reviewed.settings.dataset / NAME).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_said(reviewed: Reviewed) -> None:
    reviewed.settings.dataset.chmod(0o555)
    answer = post(reviewed, doubts_of(reviewed)[0], "keep")
    reviewed.settings.dataset.chmod(0o755)
    assert answer.status_code == 400
    assert "cannot be written to" in answer.json()["error"]


def test_names_that_steer_are_text(reviewed: Reviewed) -> None:
    doubt = doubts_of(reviewed)[0]
    post(reviewed, doubt, "keep", who="<script>alert(1)</script>", why="=1+1")
    (one,) = in_force(read_corrections(reviewed.settings.dataset)).values()
    assert one.why == "=1+1"
    assert "<script>alert" not in reviewed.client.get("/review").text
