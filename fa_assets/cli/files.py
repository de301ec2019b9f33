"""`fa-assets init`, `fetch` and `predict`: the commands for audio files outside a storage folder."""

import json
import logging
import os
import shlex
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from fa_assets.cli.options import apply_options, say, setting_options
from fa_assets.errors import BadInputError, UserError
from fa_assets.setting_fields import DATA_FOLDER


@click.command("init")
@click.argument("folder", metavar="DIR")
@click.option("--csv", "table", metavar="FILE", help="The CSV with the labels, where there are several.")
@click.option("--fname-column", metavar="NAME", help="Its column that names the audio files.")
@click.option("--labels-column", metavar="NAME", help="Its column that holds the labels.")
@click.option("--group-column", metavar="NAME", help="Its column whose clips stay in one fold.")
@click.option("--label-separator", metavar="TEXT", help="What separates labels in a cell.  [default: ',', ';' and '|']")
@click.option("--level", type=click.IntRange(1), metavar="N", help="Take the folders of this level as classes.")
@click.option(
    "--label-in-name",
    metavar="REGEX",
    help="Take what its parentheses fit in the names, without extension, as classes.",
)
@click.option("--out", metavar="DIR", help="Write to this folder, which then links to the clips.  [default: DIR]")
@click.option("--yes", is_flag=True, help="Write train_curated.csv.")
@setting_options("max_table_mb", "max_files", "max_depth")
def init_command(
    folder: str,
    table: str | None,
    fname_column: str | None,
    labels_column: str | None,
    group_column: str | None,
    label_separator: str | None,
    level: int | None,
    label_in_name: str | None,
    out: str | None,
    yes: bool,
    **options: Any,
) -> None:
    """Propose a label CSV for the audio in DIR, from tables, annotations or class folders anywhere below it."""
    from fa_assets.intake.columns import Columns
    from fa_assets.intake.names import listed
    from fa_assets.intake.propose import propose
    from fa_assets.intake.test_set import require_usable

    _require_no_address([folder, *([table] if table else [])])
    proposal = propose(
        Path(folder).expanduser(),
        table=Path(table).expanduser() if table else None,
        columns=Columns(
            fname_column, labels_column, group_column, label_separator, limits=apply_options(options).limits
        ),
        level=level,
        in_name=label_in_name,
        out=Path(out).expanduser() if out else None,
    )
    say(f"Labels from {proposal.origin}: {len(proposal.rows)} clips, {len(proposal.counts)} classes")
    for name, count in proposal.counts.items():
        say(f"{count:>8}  {name}")
    for note in proposal.notes:
        say(note)
    for what, names in (
        ("clips without a label", proposal.unlabelled),
        ("names in the tables that stand for no clip, or for several", proposal.missing),
        ("files that are not audio by their names", proposal.left_out),
    ):
        if names:
            say(f"{len(names)} {what}: {listed(names, 10)}")
    if yes:
        say(f"Wrote {' and '.join(map(str, proposal.write()))}.")
        require_usable(proposal.dataset)
        say(f"Next: fa-assets run --dataset {shlex.quote(str(proposal.dataset.root))}")
    else:
        say("Nothing was written; the same command with --yes writes train_curated.csv.")


@click.command("fetch")
@click.argument("corpus", type=click.Choice(["fsdkaggle2019", "esc50", "fsd50k"]))
@click.option(
    "--parts",
    metavar="PART,...",
    help="Only these parts: meta, curated, test of fsdkaggle2019; meta, dev, eval of fsd50k; esc50 is one.  [default: all]",
)
@click.option("--to", metavar="DIR", help="The dataset folder.  [default: data/CORPUS]")
@click.option(
    "--kaggle-order/--own-order",
    default=True,
    show_default=True,
    help="Rows sorted by fname, as Kaggle's; or in the order of the corpus's own tables. Stratified folds depend on it.",
)
@click.option("--mirror", metavar="URL", help="An address that has the archives under their own names.")
@click.option("--keep-archives", is_flag=True, help="Keep the archives once they are unpacked.")
def fetch_command(
    corpus: str, parts: str | None, to: str | None, kaggle_order: bool, mirror: str | None, keep_archives: bool
) -> None:
    """Fetch a published corpus, check it, and lay it out for `fa-assets run`; again, it goes on where it stopped."""
    from fa_assets.cli.console import Console, progress
    from fa_assets.intake.corpora import ALL
    from fa_assets.intake.corpora.fetch import fetch
    from fa_assets.intake.corpora.layout import about

    logging.basicConfig(format="%(message)s")
    folder = Path(to or DATA_FOLDER / corpus).expanduser().absolute()
    console = Console(stderr=True, highlight=False)
    console.print(about(ALL[corpus]) + f"Into {folder}", markup=False, soft_wrap=True)
    try:
        with progress(console) as (watcher, _):
            fetched = fetch(
                ALL[corpus],
                folder,
                parts=None if parts is None else [part.strip() for part in parts.strip(", ").split(",")],
                kaggle_order=kaggle_order,
                mirror=mirror,
                keep_archives=keep_archives,
                progress=lambda task: partial(watcher, task, "bytes"),
            )
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror or error}): --to DIR takes another folder. What was "
            "fetched is kept, and the same command goes on from there."
        ) from error
    say(f"{fetched.clips} clips, {fetched.classes} classes, {fetched.test_clips} test clips in {folder}")
    say(f"fa-assets run --dataset {shlex.quote(str(folder))}")


@click.command("predict")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="How many classes to show."
)
@click.option(
    "--decide", is_flag=True, help="Only the labels whose probability reaches their threshold (see thresholds)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line, with every class.")
@setting_options("dataset", "storage", "device", "checkpoint", "max_clip_gb")
def predict_command(files: tuple[str, ...], top: int, decide: bool, as_json: bool, **options: Any) -> None:
    """Tag audio FILEs with the final classifier of a storage folder: the most probable classes first."""
    checkpoint = options.pop("checkpoint")
    settings = apply_options(options)
    _require_no_address(files)
    for folder in (path for path in map(Path, files) if path.is_dir()):
        raise UserError(f"{folder} is a folder: name its files, {_its_files(folder)}.")
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise BadInputError("There is no such file:", missing)
    if tables := [file for file in files if file.lower().endswith((".csv", ".tsv", ".json", ".jsonl", ".txt"))]:
        raise BadInputError("Audio files are tagged, and these are tables or texts by their names:", tables)
    from fa_assets.api import Tagger

    root, limits = settings.storage_root, settings.limits
    tagger = Tagger.load(root, device=settings.device, checkpoint=checkpoint, limits=limits)
    if decide:
        tagger.classifier.require_thresholds()
    for tagged in tagger.tag_files(files):
        given = [tag for tag in tagged.tags if tag.is_given]
        if as_json:
            found: dict[str, Any] = {"labels": [tag.class_name for tag in given]} if decide else {}
            classes = {tag.class_name: tag.probability for tag in tagged.tags}
            say(json.dumps({"file": str(tagged.path), **found, "classes": classes}))
            continue
        say(tagged.path)
        for tag in given if decide else tagged.tags[:top]:
            say(f"  {tag.probability:.4f}  {tag.class_name}")
        if decide and not given:
            say("  no label reaches its threshold")


def _require_no_address(names: Iterable[str]) -> None:
    from fa_assets.intake.addresses import how_to_download

    for name in names:
        if command := how_to_download(name):
            raise UserError(f"{name} is an address: download it first, as with `{command}`.")


def _its_files(folder: Path) -> str:
    """The audio files of a folder, as a shell names them."""
    from fa_assets.intake.names import is_audio
    from fa_assets.store.source_files import files_below

    found = [folder / name for name in files_below(folder) if is_audio(name)]
    if not found:
        return "of which none is audio by its name"
    return f"as in {shlex.quote(str(found[0].parent))}/*{found[0].suffix}"
