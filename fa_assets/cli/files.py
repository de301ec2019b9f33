"""`fa-assets init` and `predict`: what is done with a person's own audio files."""

import json
import shlex
from pathlib import Path
from typing import Any

import click

from fa_assets.cli.options import apply_options, friendly_errors, setting_options


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
        click.echo(f"Labels from {proposal.origin}: {len(proposal.rows)} clips, {len(proposal.counts)} classes")
        for name, count in proposal.counts.items():
            click.echo(f"{count:>8}  {name}")
        for what, names in (("without a label", proposal.unlabelled), ("named but not there", proposal.missing)):
            if names:
                shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
                click.echo(f"{len(names)} {what}: {shown}")
        if yes:
            proposal.write()
            click.echo(f"Wrote {proposal.dataset.labels_csv}. Next: fa-assets run --dataset {shlex.quote(folder)}")
        else:
            click.echo("Nothing was written; the same command with --yes writes train_curated.csv.")


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
                click.echo(json.dumps({"file": str(tagged.path), "classes": classes}))
                continue
            click.echo(tagged.path)
            for tag in tagged.tags[:top]:
                click.echo(f"  {tag.probability:.4f}  {tag.class_name}")
