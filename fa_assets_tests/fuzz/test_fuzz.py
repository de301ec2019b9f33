"""Fast campaigns and, marked heavy, larger ones; and that a campaign notices what it is there to notice."""

import sys
from pathlib import Path

import pytest

from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_classes, read_given_folds, read_labels
from fa_assets_tests.fuzz.campaign import BATCH, MEGABYTES, Figures, fuzz_sounds, fuzz_tables, judge_in_child
from fa_assets_tests.fuzz.flips import GOOD, flip_bits, verdicts_of
from fa_assets_tests.fuzz.sounds import bases, make_sound
from fa_assets_tests.fuzz.tables import CLIPS, JSON, VALID, make_tables, plant_traps

SEED = 20_261_124

FAKE = """
import json, os, resource, signal, sys, time
kind, folder, megabytes, skip = sys.argv[1:]
for name in sorted(os.listdir(folder))[int(skip):]:
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "exit":
        os._exit(0)
    if name == "hang":
        time.sleep(600)
    print(json.dumps(dict(name=name, verdict="accepted", reason="", seconds=0.1, peak_mb=1.0)), flush=True)
"""


@pytest.mark.promise(
    "Whatever the bytes, a clip is accepted or refused by name; an accepted one decodes to the length that was said.",
    "input",
    "250 files in `make test`, 2,500 in `make test-slow`: 0 wrong",
)
@pytest.mark.slow
@pytest.mark.parametrize("count", [BATCH, pytest.param(10 * BATCH, marks=pytest.mark.heavy)])
def test_mutated_audio_files_are_accepted_or_refused_by_name(count: int) -> None:
    figures = fuzz_sounds(SEED, range(count))
    assert figures.bad == []
    verdicts = [one.verdict for one in figures.verdicts]
    assert verdicts.count("accepted") > count / 10
    assert verdicts.count("refused") > count / 2.5


@pytest.mark.promise(
    "A flipped bit in anything stored is named, or changes nothing that is read.",
    "kept",
    "300 bits in `make test`, 5,000 in `make test-slow`: 0 silent, 0 uncaught",
)
@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.heavy)])
def test_flipped_bits_are_named_or_change_nothing(count: int) -> None:
    cases = flip_bits(SEED, count)
    assert [one for one in cases if one.verdict not in GOOD] == []
    verdicts = verdicts_of(cases)
    assert verdicts.keys() == {"value", "header", "ledger entry", "classifier", "catalog", "embeddings in SQL"}
    for kind in ("value", "ledger entry", "embeddings in SQL"):
        assert verdicts[kind].keys() == {"named"}


@pytest.mark.slow
@pytest.mark.promise(
    "Whatever the tables, they are accepted or refused by name; what is accepted lies in the folder of clips.",
    "input",
    "100 sets in `make test`, 1,000 in `make test-slow`: 0 wrong",
)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.heavy)])
def test_mutated_tables_are_accepted_or_refused_by_name(count: int) -> None:
    figures = fuzz_tables(SEED, range(count))
    assert figures.bad == []
    verdicts = [one.verdict for one in figures.verdicts]
    assert verdicts.count("accepted") > count / 40
    assert verdicts.count("refused") > count / 2


def test_a_case_is_made_from_its_seed_and_number_alone() -> None:
    assert [make_sound(SEED, index) for index in range(20, 40)] == [make_sound(SEED, index) for index in range(20, 40)]
    assert make_tables(SEED, 7) == make_tables(SEED, 7)
    assert make_sound(SEED, 1) != make_sound(SEED + 1, 1)


def test_what_cases_are_made_from_is_good(tmp_path: Path) -> None:
    (tmp_path / "train_curated").mkdir()
    for base in bases():
        (tmp_path / "train_curated" / f"{base.name}{base.suffix}").write_bytes(base.content)
    names = tuple(f"{base.name}{base.suffix}" for base in bases())
    clips = inspect_clips(KaggleDataset(tmp_path).clips_folder, LabelledClips(names, (("Bark",),) * len(names))).clips
    assert len(clips) == len(bases())

    plant_traps(tmp_path / "tables")
    for name, text in VALID.items():
        (tmp_path / "tables" / name).write_text(text)
    dataset = KaggleDataset(tmp_path / "tables")
    labelled = read_labels(dataset)
    assert labelled.fnames == CLIPS
    assert read_classes(dataset, labelled) == ("Bark", "Rain")
    assert read_given_folds(dataset, CLIPS, 5) is not None
    assert len(inspect_clips(dataset.clips_folder, labelled).clips) == len(CLIPS)
    for text in JSON:
        dataset.labels_csv.write_text(text)
        assert (read_labels(dataset).fnames, read_labels(dataset).labels) == (CLIPS, labelled.labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [("crash", "crashed", "exit status -11"), ("exit", "crashed", "exit status 0"), ("hang", "hung", "nothing for")],
)
def test_a_crash_and_a_hang_are_noticed_and_the_rest_goes_on(
    tmp_path: Path, name: str, verdict: str, reason: str
) -> None:
    for one in ("a", "b", name, "x", "y"):
        (tmp_path / one).touch()
    names = sorted(["a", "b", name, "x", "y"])
    verdicts = judge_in_child("sounds", tmp_path, names, limit_s=3, worker=(sys.executable, "-S", "-c", FAKE))
    assert [one.name for one in verdicts] == names
    (bad,) = Figures(tuple(verdicts)).bad
    assert (bad.name, bad.verdict) == (name, verdict)
    assert reason in bad.reason


@pytest.mark.slow
def test_the_child_cannot_have_more_memory_than_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    code = f"""
import resource, sys
from fa_assets_tests.fuzz import worker
worker.judge_tables = lambda dataset: bytearray({MEGABYTES << 20})
worker.main(*sys.argv[1:])
"""
    (verdict,) = judge_in_child("tables", tmp_path, ["case"], worker=(sys.executable, "-c", code))
    assert verdict.verdict == "wrong"
    assert "MemoryError" in verdict.reason
