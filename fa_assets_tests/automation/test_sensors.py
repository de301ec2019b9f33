"""The sensors as Dagster evaluates them: what they report, what they skip, and what they leave behind."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.automation import sensors
from fa_assets.automation.sensors import folds_in_one_run, refresh_sensors
from fa_assets.definitions import build_definitions
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder
from fa_assets.settings import Settings
from fa_assets_tests.small_dataset import make_clip


def look(settings: Settings, instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    """One tick of the sensor that watches the folder; its observation is reported, as the daemon does."""
    sensor, *_ = refresh_sensors(settings)
    context = dg.build_sensor_context(
        instance=instance,
        resources={
            "dataset": DatasetFolder(folder=str(settings.dataset)),
            "recorder": Recorder.of(settings),
        },
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    for event in getattr(result, "asset_events", None) or ():
        instance.report_runless_asset_event(event)
    return result


def test_a_change_is_observed_once_with_its_counts(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(look(settings, instance), dg.SkipReason)
    folder, labels = settings.dataset / "train_curated", settings.dataset / "train_curated.csv"
    make_clip(folder / "new.wav", ("Tone",), index=100)
    make_clip(folder / "03.wav", ("Sweep",), index=101)
    labels.write_text(labels.read_text().replace('02.wav,"Click"\n', "") + "new.wav,Tone\n")
    result = look(settings, instance)
    assert isinstance(result, dg.SensorResult)
    (observation,) = result.asset_events
    metadata = {name: value.value for name, value in observation.metadata.items()}
    assert (metadata["clips_added"], metadata["clips_changed"], metadata["clips_removed"]) == (1, 1, 1)
    assert result.cursor.startswith((observation.tags or {})["dagster/data_version"])
    assert isinstance(look(settings, instance), dg.SkipReason)


def test_a_dataset_that_cannot_be_read_is_skipped_with_the_reason(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    (settings.dataset / "train_curated.csv").write_text("fname,label\n")
    skipped = look(settings, instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "no column labels" in str(skipped.skip_message)


def test_a_large_folder_is_hashed_over_several_ticks(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recorder.of(settings).recordings_memory.unlink()
    monkeypatch.setattr(sensors, "SCAN_LIMIT_S", 0.0)
    n_clips = len(list(settings.dataset.glob("*/*.wav")))
    said = [look(settings, instance) for _ in range(n_clips + 1)]
    assert all(isinstance(one, dg.SkipReason) for one in said)
    for done, one in enumerate(said[:-1], start=1):
        assert f"{done} of {n_clips} clips hashed so far" in str(one.skip_message)  # type: ignore[union-attr]
    assert "nothing changed" in str(said[-1].skip_message)  # type: ignore[union-attr]


def request(fold: str | None, *assets: str) -> dg.RunRequest:
    tags = {} if fold is None else {"dagster/partition": fold}
    return dg.RunRequest(asset_selection=[dg.AssetKey(asset) for asset in assets], partition_key=fold, tags=tags)


def test_consecutive_folds_of_the_same_assets_share_a_run() -> None:
    merged = folds_in_one_run(
        [*(request(fold, "a", "b") for fold in "0124"), request("3", "a"), request(None, "c"), request("4", "a")]
    )
    said = {
        (
            tuple(key.to_user_string() for key in one.asset_selection or ()),
            one.partition_key,
            one.tags.get("dagster/asset_partition_range_start"),
            one.tags.get("dagster/asset_partition_range_end"),
        )
        for one in merged
    }
    assert said == {
        (("a", "b"), None, "0", "2"),
        (("a", "b"), "4", None, None),
        (("a",), None, "3", "4"),
        (("c",), None, None, None),
    }
    assert all("dagster/partition" not in one.tags for one in merged if one.partition_key is None)


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
    *_, sensor = refresh_sensors(settings)
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
    from fa_assets.automation.failures import notify

    notify("/no/such/program", tmp_path)
    notify(f"{sys.executable} -c 'raise SystemExit(3)'", tmp_path)
    assert "could not be called" in caplog.text
    assert "ended with 3" in caplog.text
