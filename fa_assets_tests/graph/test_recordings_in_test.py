"""Test clips that hold a curated clip's recording, against the landmarks that the intake keeps."""

from dataclasses import replace

import pytest
import soundfile

from fa_assets.audio.landmark_file import load_landmarks
from fa_assets.audio.landmarks import RATE
from fa_assets.graph.checks_submission import no_curated_recordings_in_test
from fa_assets.graph.clips import LANDMARKS
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.metrics.test_same_recording import sound
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import CLASSES

pytestmark = pytest.mark.slow


def test_an_excerpt_of_a_curated_clip_is_named_and_without_landmarks_nothing_is_claimed(settings: Settings) -> None:
    whole, test = sound(1), settings.dataset / "test"
    soundfile.write(settings.dataset / "train_curated" / "03.wav", whole, RATE)
    soundfile.write(test / "t0.wav", whole[RATE : 4 * RATE] / 4, RATE)
    soundfile.write(test / "t1.wav", whole[RATE // 2 : 4 * RATE], RATE)
    soundfile.write(test / "t2.wav", sound(2), RATE)
    soundfile.write(test / "t3.wav", sound(2)[RATE:], RATE)
    for copy in (
        settings.dataset / "train_curated" / "05.wav",
        settings.dataset / "train_curated" / "06.wav",
        test / "t4.wav",
    ):
        soundfile.write(copy, sound(3), RATE)
    rows = settings.dataset / "sample_submission.csv"
    rows.write_text(rows.read_text() + "".join(f"{name}.wav{',0' * len(CLASSES)}\n" for name in ("t3", "t4")))
    ledger, values = Ledger(settings.storage_root / "ledger"), ValueStore(settings.storage_root)

    outcome = run(settings, select="curated_clips,test_clips")
    assert outcome.failures == ()
    found = values.read("test_clips")
    like = dict(zip(*(found.table[name].to_pylist() for name in ("fname", "same_recording")), strict=True))
    assert like == {"t0.wav": "03.wav", "t1.wav": "03.wav", "t2.wav": None, "t3.wav": None, "t4.wav": "05.wav"}
    assert found.table["same_as"].to_pylist() == [None] * 4 + ["05.wav"]  # the first of its copies
    assert found.table["unit"].to_pylist() == [0, 0, 1, 1, 2]  # t2 and t3 are one recording, too
    assert next(ledger.newest_of("test_clips")).metadata["clips_like_curated"] == 3
    (warning,) = (one for one in outcome.warnings if "no_curated_recordings_in_test" in str(one))
    assert "2 test clips" in str(warning) and "'t0.wav' (like 03.wav)" in str(warning)

    kept = settings.storage_root / LANDMARKS
    assert load_landmarks(kept, ["of another clip"]) is None
    kept.unlink()
    assert load_landmarks(kept, []) is None
    older = replace(found, header=replace(found.header, details={}))
    assert "materialize curated_clips" in str(no_curated_recordings_in_test(older))
    assert run(settings, select="+test_clips").failures == () and kept.is_file()
