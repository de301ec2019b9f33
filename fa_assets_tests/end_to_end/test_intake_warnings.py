"""What a run says of a dataset that is not what it seems, in the terminal and in the catalog."""

from pathlib import Path

import numpy as np
import soundfile

from fa_assets_tests.command_line import fa_assets


def test_a_run_names_what_it_read_otherwise_left_out_and_found_odd(tmp_path: Path) -> None:
    clips = tmp_path / "set" / "train_curated"
    clips.mkdir(parents=True)
    rows = ["fname;labels"]
    for n in range(24):
        samples = np.random.default_rng(n).uniform(-0.5, 0.5, 800)
        soundfile.write(clips / f"c{n:02}.wav", np.sign(samples) if n < 12 else samples, 8_000)
        rows.append(f"c{n:02}.WAV;{('Dog', 'dog')[n % 2]}")
    (clips / "c24.wav").write_text("damaged")
    (clips / "extra.wav").touch()
    (tmp_path / "set" / "train_curated.csv").write_text("\n".join([*rows, "c24.wav;Cat"]))
    (tmp_path / "set" / "sample_submission.csv").write_text("fname,Dog,dog,Cat\nt.wav,0,0,0\n")
    where = ("--dataset", str(tmp_path / "set"), "--storage", str(tmp_path / "storage"))
    options = ("--select", "+folds,+test_clips", "--match-names", "loose", "--on-bad-clip", "skip", "--pictures", "off")
    done = fa_assets("run", *where, *options)
    assert done.exit_code == 0, done.stderr
    for said in (
        "train_curated.csv is read as separated by semicolons",
        "24 names are matched loosely, as 'c00.WAV' with 'c00.wav' (upper and lower case)",
        "left out 'c24.wav': ",
        "1 classes have no clip left, since all of theirs are left out: 'Cat'",
        "1 files in train_curated have no row in train_curated.csv and are not used: 'extra.wav'",
        f"sample_submission.csv names 1 test clips, but {tmp_path / 'set' / 'test'} is not there: no submission is made",
        "'Dog', 'dog' (differ by case",
        "'c00.wav' (clipped), 'c01.wav' (clipped)",
        "'c09.wav' (clipped) and 2 more: fa-assets sql \"from check_offenders where name = 'sound_levels'\"",
    ):
        assert said in done.stderr, said
    assert "'c10.wav' (clipped)" not in done.stderr
    query = "select offender ->> 'fname' as fname from check_offenders where name = 'sound_levels'"
    assert fa_assets("sql", query, *where).stdout.split() == ["fname", *(f"c{n:02}.wav" for n in range(12))]
    checks = fa_assets("sql", "select name, passed from checks where severity = 'WARN' order by id", *where).stdout
    assert "every_clip_used" in checks and "folds_balanced" in checks
