"""What a command says about what was typed: its options, not variables, and advice that works."""

from pathlib import Path

import pytest

from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.small_dataset import make_clip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--dataset", "{tmp}/nowhere", "--storage", "{tmp}/s"), "give --dataset DIR."),
        (("run", "--dataset", "{tmp}/set", "--storage", "{tmp}/s"), "train_curated.csv is missing"),
        (("run", "--batch-size", "many"), "--batch-size 'many': "),
        (("run", "--dataset", "{tmp}/ready/train_curated"), "{tmp}/ready is one: set --dataset to that."),
        (
            ("status", "--dataset", "s3://bucket/set", "--storage", "{tmp}"),
            "An address is not read: download it first.",
        ),
        (("metrics", "--storage", "{tmp}/s"), "materialize it first (`fa-assets run`)."),
        (("init", "{tmp}/nowhere"), "There is no folder {tmp}/nowhere."),
        (
            ("predict", "{tmp}/set", "--storage", "{tmp}/s"),
            "{tmp}/set is a folder: name its files, as in {tmp}/set/deep/*.wav",
        ),
        (
            ("predict", "https://x.org/a%20b.mp3", "--storage", "{tmp}/s"),
            "first, as with `curl -LO https://x.org/a%20b.mp3`",
        ),
        (("predict", "{tmp}/none", "--storage", "{tmp}/s"), "of which none is audio"),
        (("predict", "{tmp}/no.wav", "--storage", "{tmp}/s"), "There is no such file:\n  - {tmp}/no.wav"),
        (
            ("predict", "{tmp}/ready/train_curated.csv", "--storage", "{tmp}/s"),
            "these are tables or texts by their names",
        ),
        (("init", "https://x.org/a.zip"), "download it first, as with `curl -LO https://x.org/a.zip`"),
        (("init", "s3://bucket/set"), "as with `aws s3 cp --recursive s3://bucket/set data/set`"),
        (
            ("init", "hf://datasets/who/birds/data"),
            "as with `hf download --repo-type dataset who/birds --local-dir data/birds`",
        ),
        (("init", "who/birds"), "at Kaggle: `kaggle datasets download who/birds --unzip -p data/birds`."),
        (("init", "{tmp}/set", "--csv", "hf://who/birds"), "hf://who/birds is an address"),
        (
            ("init", "{tmp}/set", "--csv", "{tmp}/ready"),
            "--csv takes one table, as {tmp}/ready/train_curated.csv; without it",
        ),
        (("init", "{tmp}/two", "--label-separator", "+"), "--label-separator is for the cells of tables"),
        (("labels", "apply", "{tmp}/set", "--dataset", "{tmp}/set"), "`fa-assets labels import {tmp}/set`"),
        (("fetch", "fsd50k", "--parts", ",", "--to", "{tmp}/f"), "fsd50k has no part ''; it has meta, dev, eval."),
    ],
)
def test_a_message_fits_the_command_that_was_typed(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    for name in ("set/deep", "none"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "set" / "deep" / "a.wav").touch()
    for name in ("a", "b"):
        (tmp_path / "two" / name).mkdir(parents=True)
        (tmp_path / "two" / name / f"{name}.wav").touch()
    (tmp_path / "ready" / "train_curated").mkdir(parents=True)
    (tmp_path / "ready" / "train_curated.csv").touch()
    done = fa_assets(*(one.format(tmp=tmp_path) for one in arguments))
    assert done.exit_code == 1
    assert said.format(tmp=tmp_path) in done.stderr
    assert "FA_" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("run data/birds", "unexpected extra argument (data/birds)\nExample: fa-assets run --dataset data/birds"),
        ("run help", "Example: fa-assets run --dataset"),
        ("run --datset x", "Did you mean one of: '--dataset', '--other-dataset', '--select'?)\nExample: fa-assets run"),
        ("init --dataset x", "No such option '--dataset'.\nExample: fa-assets init data/birds --yes"),
        ("init", "Missing argument 'DIR'.\nExample: fa-assets init data/birds"),
        ("init x --level 0", "0 is not in the range x>=1."),
        ("predict", "Missing argument 'FILE...'.\nExample: fa-assets predict dog.wav --storage"),
        ("encoders check", "Example: fa-assets encoders check cnn14"),
        ("labels export", "Example: fa-assets labels export label_tracks"),
        ("--dataset x run", "Options stand after the command: fa-assets run --dataset x"),
        ("demo --dataset x", "Example: fa-assets demo --storage data/demo"),
    ],
)
def test_a_command_called_wrongly_is_refused_with_an_example(typed: str, said: str) -> None:
    done = fa_assets(*typed.split())
    assert done.exit_code == 2
    assert said in done.stderr


def test_what_is_soon_seen_is_refused_before_weights_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "a" / "train_curated").mkdir(parents=True)
    make_clip(tmp_path / "a" / "train_curated" / "a.wav", ("Tone",), 1)
    options = (
        "--dataset",
        str(tmp_path / "a"),
        "--storage",
        str(tmp_path / "s"),
        "--checkpoint",
        "http://127.0.0.1:9/x.pth",
    )
    for rows, device, said in (
        ("a.wav,Tone\na.wav,Tone\n", "auto", "'a.wav': 2 rows"),
        ("a.wav,Tone\nb,Tone\nc,Tone\nd,Tone\ne,Noise\n", "auto", "4 of 5 clips in"),
        ("a.wav,Tone\n", "gpu", "Unknown device 'gpu'"),
        ("a.wav,Tone\n", "cuda:99", "Device cuda:99"),
    ):
        (tmp_path / "a" / "train_curated.csv").write_text(f"fname,labels\n{rows}")
        done = fa_assets("run", *options, "--device", device)
        assert done.exit_code == 1 and said in done.stderr
        assert "Cite" not in done.output and "127.0.0.1:9/x.pth: " not in done.output


def test_a_place_that_cannot_be_written_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = fa_assets("catalog", "snapshot", str(tmp_path / "file" / "x"), settings=finished.settings)
    assert done.exit_code == 1
    assert f"{tmp_path / 'file'} cannot be used (File exists)" in done.stderr


def test_advice_in_the_environment_names_variables(tmp_path: Path) -> None:
    """`sql` has no option for it."""
    done = fa_assets("catalog", "sync", variables={"FA_BATCH_SIZE": "many"})
    assert "FA_BATCH_SIZE='many'" in done.stderr


@pytest.mark.parametrize("top", ["0", "-1"])
def test_no_fewer_than_one_class_is_shown(top: str) -> None:
    assert fa_assets("predict", "a.wav", "--top", top).exit_code == 2


@pytest.mark.slow
def test_weights_that_were_moved_are_found_with_the_option_that_the_message_names(
    finished: FinishedRun, tmp_path: Path
) -> None:
    settings = finished.copy(tmp_path)
    moved = tmp_path / "moved.pth"
    weights = tmp_path / "weights.pth"
    weights.write_bytes(Path(settings.checkpoint_source).read_bytes())
    made = fa_assets("run", "--checkpoint", str(weights), "--select", "cnn14_checkpoint", settings=settings)
    assert made.exit_code == 0, made.stderr
    weights.rename(moved)
    make_clip(tmp_path / "a.wav", ("Tone",), 1)
    command = ("predict", str(tmp_path / "a.wav"), "--storage", str(settings.storage_root))
    lost = fa_assets(*command)
    assert lost.exit_code == 1 and f"{weights} are not there" in lost.stderr and "--checkpoint FILE" in lost.stderr
    found = fa_assets(*command, "--checkpoint", str(moved))
    assert found.exit_code == 0, found.stderr
    assert "Tone" in found.stdout
    for no_file in ("published", "https://example.org/w.pth"):
        refused = fa_assets(*command, "--checkpoint", no_file)
        assert (
            refused.exit_code == 1 and f"{no_file!r} is none: leave it out for the weights {weights}" in refused.stderr
        )
    other = fa_assets(*command, "--checkpoint", str(tmp_path / "a.wav"))
    assert other.exit_code == 1 and str(tmp_path / "a.wav") in other.stderr
