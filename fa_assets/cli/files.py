"""`fa-assets init`, `fetch` and `predict`: the commands for audio files outside a storage folder."""

import json
import logging
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import click

from fa_assets.cli.options import apply_options, friendly_errors, say, setting_options
from fa_assets.settings import DATA_FOLDER


@click.command("init")
@click.argument("folder", metavar="DIR")
@click.option("--csv", "table", metavar="FILE", help="The CSV with the labels, where there are several.")
@click.option("--fname-column", metavar="NAME", help="Its column that names the audio files.")
@click.option("--labels-column", metavar="NAME", help="Its column that holds the labels.")
@click.option("--yes", is_flag=True, help="Write train_curated.csv.")
def init_command(
    folder: str, table: str | None, fname_column: str | None, labels_column: str | None, yes: bool
) -> None:
    """Propose a label CSV for the audio in DIR, from its class sub-folders or a CSV with other column names."""
    with friendly_errors():
        from fa_assets.intake.propose import propose

        proposal = propose(
            Path(folder).expanduser(),
            table=Path(table) if table else None,
            fname_column=fname_column,
            labels_column=labels_column,
        )
        say(f"Labels from {proposal.origin}: {len(proposal.rows)} clips, {len(proposal.counts)} classes")
        for name, count in proposal.counts.items():
            say(f"{count:>8}  {name}")
        for what, names in (("without a label", proposal.unlabelled), ("named but not there", proposal.missing)):
            if names:
                shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
                say(f"{len(names)} {what}: {shown}")
        if yes:
            proposal.write()
            say(f"Wrote {proposal.dataset.labels_csv}. Next: fa-assets run --dataset {shlex.quote(folder)}")
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
    with friendly_errors():
        from fa_assets.cli.console import Console, progress
        from fa_assets.intake.corpora import ALL
        from fa_assets.intake.corpora.fetch import fetch
        from fa_assets.intake.corpora.layout import about

        logging.basicConfig(format="%(message)s")
        folder = Path(to or DATA_FOLDER / corpus).expanduser().absolute()
        console = Console(stderr=True, highlight=False)
        console.print(about(ALL[corpus]) + f"Into {folder}", markup=False, soft_wrap=True)
        with progress(console) as (watcher, _):
            fetched = fetch(
                ALL[corpus],
                folder,
                parts=None if parts is None else [part.strip() for part in parts.split(",")],
                kaggle_order=kaggle_order,
                mirror=mirror,
                keep_archives=keep_archives,
                progress=lambda task: partial(watcher, task, "bytes"),
            )
        say(f"{fetched.clips} clips, {fetched.classes} classes, {fetched.test_clips} test clips in {folder}")
        say(f"fa-assets run --dataset {shlex.quote(str(folder))}")


@click.command("predict")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--top", default=5, show_default=True, metavar="N", help="How many classes to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line, with every class.")
@setting_options("dataset", "storage", "device")
def predict_command(files: tuple[str, ...], top: int, as_json: bool, **options: Any) -> None:
    """Tag audio FILEs with the final classifier of a storage folder: the most probable classes first."""
    with friendly_errors():
        settings = apply_options(options)
        from fa_assets.api import Tagger

        for tagged in Tagger.load(settings.storage_root, device=settings.device).tag_files(files):
            if as_json:
                classes = {tag.class_name: tag.probability for tag in tagged.tags}
                say(json.dumps({"file": str(tagged.path), "classes": classes}))
                continue
            say(tagged.path)
            for tag in tagged.tags[:top]:
                say(f"  {tag.probability:.4f}  {tag.class_name}")
