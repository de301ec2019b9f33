"""`python -m fa_assets_tests.fuzz`: a whole campaign; exits with 1 when a case was neither accepted nor refused."""

import re
import sys
import time
from collections import Counter
from pathlib import Path

import click
import soundfile

from fa_assets_tests.fuzz.campaign import Figures, fuzz_sounds, fuzz_tables
from fa_assets_tests.fuzz.flips import GOOD, Flipped, flip_bits, verdicts_of

SHOWN = 12


@click.command()
@click.option("--seed", default=3, show_default=True)
@click.option("--sounds", default=2_500, show_default=True, help="How many audio files.")
@click.option("--tables", default=600, show_default=True, help="How many sets of CSV tables.")
@click.option("--flips", default=5_000, show_default=True, help="How many flipped bits in a storage folder.")
@click.option("--first", default=0, show_default=True, help="The number of the first case.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the cases that must not be.")
def main(seed: int, sounds: int, tables: int, flips: int, first: int, keep: Path | None) -> None:
    """Mutated audio files and CSV tables through the real intake; flipped bits in what a run left."""
    started = time.monotonic()
    click.echo(f"seed {seed}, cases from {first}, libsndfile {soundfile.__libsndfile_version__}")
    bad = 0
    if sounds:
        bad += _report("audio files", fuzz_sounds(seed, range(first, first + sounds), keep))
    if tables:
        bad += _report("CSV tables", fuzz_tables(seed, range(first, first + tables), keep))
    if flips:
        bad += _report_flips(flip_bits(seed, flips))
    click.echo(f"{time.monotonic() - started:.0f} s")
    sys.exit(bad > 0)


def _report(what: str, figures: Figures) -> int:
    click.echo(f"{what}: {figures}")
    # Reasons that differ in names and numbers alone are one.
    reasons = Counter(
        re.sub(r"/\S*/|'[^']*'|[\d,.]+", "#", one.reason)[:90] for one in figures.verdicts if one.verdict == "refused"
    )
    for reason, count in reasons.most_common(SHOWN):
        click.echo(f"  {count:6} refused: {reason.splitlines()[0]}")
    for one in figures.bad[:SHOWN]:
        click.echo(f"  {one.verdict}: {one.name}: {one.reason.strip()[-1500:]}")
    return len(figures.bad)


def _report_flips(cases: list[Flipped]) -> int:
    for kind, verdicts in sorted(verdicts_of(cases).items()):
        click.echo(f"flipped bits, {kind}: {sum(verdicts.values())} cases, {dict(verdicts)}")
    bad = [one for one in cases if one.verdict not in GOOD]
    for one in bad[:SHOWN]:
        click.echo(f"  {one}")
    return len(bad)


if __name__ == "__main__":
    main()
