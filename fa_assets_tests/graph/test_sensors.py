"""The sensors as Dagster evaluates them: what they report, what they skip, and what they leave behind."""

import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.graph import sensors
from fa_assets.settings import Settings
from fa_assets.store import digests
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.graph.driver import Daemon
from fa_assets_tests.runs import recorder_of
from fa_assets_tests.small_dataset import make_clip

USABLE = dg.AssetCheckKey(dg.AssetKey("curated_recordings"), "dataset_usable")


def test_a_change_is_observed_once_with_its_counts(
    daemon: Daemon, settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert daemon.tick() is None
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    make_clip(folder / "new.wav", ("Tone",), index=100)
    make_clip(folder / "03.wav", ("Sweep",), index=101)
    labels.write_text(labels.read_text().replace('02.wav,"Click"\n', "") + "new.wav,Tone\n")

    def observed() -> list[dg.EventLogRecord]:
        return list(instance.fetch_observations(dg.AssetKey("curated_recordings"), limit=10).records)

    before = len(observed())
    assert daemon.tick() is not None
    newest = observed()[0].asset_observation
    assert newest is not None
    counts = [newest.metadata[f"clips_{what}"].value for what in ("added", "changed", "removed")]
    assert counts == [1, 1, 1]
    assert [newest.metadata[what].value for what in ("added", "changed", "removed")] == ["new.wav", "03.wav", "02.wav"]
    daemon.tick()
    assert len(observed()) == before + 1


def test_the_observe_button_says_what_the_sensor_would(settings: Settings, instance: dg.DagsterInstance) -> None:
    definitions = build_definitions(settings)

    def observe() -> dg.ExecuteInProcessResult:
        asset = definitions.get_assets_def("curated_recordings")
        return dg.materialize([asset], instance=instance, selection=["curated_recordings"], raise_on_error=False)

    assert observe().success
    make_clip(settings.dataset / "train_curated" / "03.wav", ("Sweep",), index=101)
    assert observe().success
    newest = instance.fetch_observations(dg.AssetKey("curated_recordings"), limit=1).records[0].asset_observation
    assert newest is not None and newest.metadata["changed"].value == "03.wav"
    (settings.dataset / "train_curated.csv").write_text("fname,label\n")
    assert not observe().success
    record = instance.get_latest_asset_check_evaluation_record(USABLE)
    assert record and record.evaluation and not record.evaluation.passed


def test_a_dataset_that_cannot_be_read_is_skipped_with_the_reason(daemon: Daemon, settings: Settings) -> None:
    labels = (settings.dataset / "train_curated.csv").read_text()

    def verdict() -> tuple[int, bool, str]:
        record = daemon.instance.get_latest_asset_check_evaluation_record(USABLE)
        assert record and record.evaluation
        return record.id, record.evaluation.passed, str(record.evaluation.description)

    assert daemon.tick() is None
    assert verdict()[1:] == (True, "24 clips and 3 test clips are there.")
    (settings.dataset / "train_curated.csv").write_text("fname,label\n")
    assert daemon.tick() is None
    assert "no column labels" in daemon.said
    first = verdict()
    assert not first[1] and "no column labels" in first[2]
    assert daemon.tick() is None
    assert verdict() == first, "it is said once"
    (settings.dataset / "train_curated.csv").write_text(labels)
    assert daemon.tick() is None
    assert verdict()[1]


@pytest.mark.promise(
    "A storage folder that holds the results of another dataset is refused, unless FA_OTHER_DATASET says otherwise.",
    "input",
    "24 other clips",
)
def test_the_storage_of_another_dataset_is_refused_unless_told(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    other = settings.model_copy(update={"dataset": tmp_path / "other"})
    shutil.copytree(settings.dataset, other.dataset)
    assert Daemon(other, instance).tick() is None  # moved, it is the same
    for clip in (other.dataset / "train_curated").iterdir():
        make_clip(clip, ("Noise",), index=500 + int(clip.stem))
    daemon = Daemon(other, instance)
    assert daemon.tick() is None
    assert "holds the results of another dataset: of its 24 clips none is in" in daemon.said
    said = fa_assets("run", settings=other)
    assert said.exit_code == 1 and "give --other-dataset replace to go on" in said.stderr
    assert Daemon(other.model_copy(update={"other_dataset": "replace"}), instance).tick() is not None


def test_clips_that_cannot_be_read_are_named_by_sensor_and_status(daemon: Daemon, settings: Settings) -> None:
    clip = settings.dataset / "train_curated" / "03.wav"
    clip.unlink()
    clip.symlink_to("nothing.wav")
    assert daemon.tick() is not None  # the run refuses it by name, or leaves it out
    record = daemon.instance.get_latest_asset_check_evaluation_record(USABLE)
    assert record and record.evaluation and not record.evaluation.passed
    assert "03.wav: a link to what is not there" in str(record.evaluation.description)
    said = fa_assets("status", settings=settings)
    assert said.exit_code == 0 and said.stdout.startswith(
        "curated_clips, label_corrections: curated_recordings changed\nMade from"
    )
    assert "clips that cannot be read: 1 (03.wav: a link to what is not there (nothing.wav))" in said.stderr


def test_a_large_folder_is_hashed_over_several_ticks(
    daemon: Daemon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder_of(settings).recordings_memory.unlink()
    monkeypatch.setattr(sensors, "SCAN_LIMIT_S", 0.0)
    monkeypatch.setattr(digests, "_TICK_NS", 0)  # or clips that are younger would be hashed again at the next tick
    n_clips = len(list(settings.dataset.glob("*/*.wav")))
    for done in range(1, n_clips + 1):
        assert daemon.tick() is None
        assert f"{done} of {n_clips} clips hashed so far" in daemon.said
    assert daemon.tick() is None
    assert "nothing changed" in daemon.said


def test_a_failed_run_leaves_a_report_and_calls_the_program_that_was_named(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "tell.py"
    program.write_text(f"import sys; open({str(told)!r}, 'w').write(open(sys.argv[1]).read())")
    settings = settings.model_copy(update={"on_failure": f"{sys.executable} {program}"})
    (settings.dataset / "train_curated" / "05.wav").write_bytes(b"RIFF")
    result = (
        build_definitions(settings)
        .resolve_job_def("clips_stage")
        .execute_in_process(instance=instance, raise_on_error=False)
    )
    assert not result.success
    sensor = build_definitions(settings).get_repository_def().get_sensor_def("say_what_failed")
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    sensor(context)
    (report,) = (settings.storage_root / "failures").iterdir()
    text = report.read_text()
    assert "05.wav" in text and "curated_clips" in text
    assert f"fa-assets run --dataset {settings.dataset} --storage {settings.storage_root}" in text
    assert told.read_text() == text


def test_a_program_that_cannot_be_called_is_logged(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from fa_assets.graph.failures import notify

    notify("/no/such/program", tmp_path)
    notify(f"{sys.executable} -c 'raise SystemExit(3)'", tmp_path)
    assert "could not be called" in caplog.text
    assert "ended with 3" in caplog.text
