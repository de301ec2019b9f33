"""What the runner says of a run that failed: each thing once, in words, without Dagster's stack trace."""

import shutil

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.errors import UserError
from fa_assets.graph import checks_clips, runner
from fa_assets.settings import Settings
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import run


def test_what_is_wrong_for_several_assets_is_said_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "resolve_device", str)  # as of a device that goes once the run has begun
    shutil.rmtree(settings.storage_root / "embedding_store")
    wrong = settings.model_copy(update={"device": "cuda:7"})
    (failure,) = run(wrong, select="mc5_embeddings,center_embeddings,test_embeddings", force=True).failures
    assert set(failure.partition(": ")[0].split(", ")) == {"mc5_embeddings", "center_embeddings", "test_embeddings"}
    assert failure.count("cuda:7 was asked for") == 1


def test_one_label_is_refused_with_the_way_out(settings: Settings) -> None:
    labels = settings.dataset / "train_curated.csv"
    labels.write_text("fname,labels\n" + "".join(f"{index:02}.wav,Tone\n" for index in range(24)))
    (settings.dataset / "sample_submission.csv").unlink()
    with pytest.raises(
        UserError, match="has one label, Tone, and nothing to tell it from: add clips with another label"
    ):
        run(settings, select="curated_clips")


def test_a_blocking_check_is_said_without_a_stack_trace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_clips, "fold_problems", lambda *given: ["made up"])
    (failure,) = run(settings, select="folds", force=True).failures
    assert failure == "folds, check folds_complete: made up. Materialize curated_clips and folds again."


def test_status_names_the_failed_run_the_file_and_the_way_out_in_five_lines(settings: Settings) -> None:
    (settings.dataset / "train_curated" / "05.wav").write_bytes(b"RIFF")
    failed = run(settings)
    said = fa_assets("status", settings=settings).stdout.splitlines()
    assert len(said) <= 5
    assert said[0].startswith(f"The last run, {str(failed.run_id)[:8]}, failed: curated_clips: 1 of 24 clips")
    assert "05.wav" in said[1]
    assert said[-1].startswith("Once that is fixed: fa-assets run --dataset")
    every = fa_assets("status", "--all", settings=settings).stdout.splitlines()
    assert len(every) > 20 and any(line.startswith("mc5_embeddings, fold 4: ") for line in every)
    skipping = settings.model_copy(update={"on_bad_clip": "skip"})
    assert run(skipping, select="curated_clips").failures == ()
    after = fa_assets("status", settings=skipping).stdout
    assert "failed" not in after and "Other settings" not in after, "a run after it succeeded"
    other = "Other settings than those of the last run here: on_bad_clip skip, now fail"
    assert other in fa_assets("status", settings=settings).stdout


def test_a_run_whose_process_is_gone_was_interrupted_and_did_not_fail(settings: Settings) -> None:
    run(settings, select="curated_clips")
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        job = build_definitions(settings).resolve_job_def("everything")
        instance.report_run_failed(instance.create_run_for_job(job), "its process is gone")
    assert fa_assets("status", settings=settings).stdout == "Everything is current.\n", "nothing of it is lacking"
    (settings.storage_root / "classifiers" / "final.npz").unlink()
    first, *_, last = fa_assets("status", settings=settings).stdout.splitlines()
    assert "was interrupted" in first and last.startswith("What it made is kept; to go on: fa-assets run --dataset")
