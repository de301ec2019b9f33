"""`fa-assets labels`: verdicts on labels, from and to tables, Label Studio and Audacity; and train_curated.csv corrected."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fa_assets.cli.options import Commands, apply_options, say, setting_options
from fa_assets.settings import Settings

if TYPE_CHECKING:
    from fa_assets.intake.corrections import Correction
    from fa_assets.intake.exchange import Asked
    from fa_assets.intake.kaggle import KaggleDataset

_dataset_options = setting_options(
    "dataset", "label_separator", "match_names", "max_table_mb", "max_files", "max_depth", "links"
)
_who = click.option(
    "--who", metavar="NAME", help="Who gave the verdicts, where the file does not say.  [default: the user]"
)
_FORMATS = ("label-studio", "audacity")


@click.group("labels", cls=Commands)
def labels_group() -> None:
    """Correct labels: verdicts in label_corrections.csv of the dataset folder, which every run follows."""


@labels_group.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@_who
@_dataset_options
def labels_apply_command(file: Path, who: str | None, **options: Any) -> None:
    """Append the verdicts in FILE.

    FILE is a table with the columns fname, class and verdict (keep, add, remove, unsure, undo), or label_audit.csv with a
    column verdict added, of which rows without one are left out.
    """
    from fa_assets.intake.corrections import this_user
    from fa_assets.intake.exchange import verdicts_from_table

    dataset = apply_options(options).layout
    _give(dataset, verdicts_from_table(dataset, file, who or this_user()))


@labels_group.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@_who
@_dataset_options
def labels_import_command(path: Path, who: str | None, **options: Any) -> None:
    """Append what PATH says otherwise than the dataset, as verdicts.

    PATH is Label Studio's export (JSON), or a label track, or a folder of them, as Audacity and Raven export them.
    """
    from fa_assets.intake.corrections import this_user
    from fa_assets.intake.exchange import verdicts_from_others

    dataset = apply_options(options).layout
    _give(dataset, verdicts_from_others(dataset, path, who or this_user()))


@labels_group.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "format", type=click.Choice(_FORMATS), required=True, help="For which program.")
@click.option("--all", "every", is_flag=True, help="All clips, not only those whose labels the model doubts.")
@click.option(
    "--address",
    default="/data/local-files/?d=train_curated/",
    show_default=True,
    metavar="URL",
    help="Label Studio: what stands before the names of clips; the default is for LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT at "
    "the dataset folder.",
)
@setting_options("dataset", "storage")
def labels_export_command(folder: Path, format: str, every: bool, address: str, **options: Any) -> None:
    """Write the clips whose labels the last run doubts into the new FOLDER, most doubted first."""
    from fa_assets.intake.exchange import CONFIG, TASKS, write_audacity, write_label_studio

    asked, classes = _asked(apply_options(options), every=every)
    if not asked:
        say("The last run doubts no label, so nothing is written; --all writes every clip.")
        return
    if format == "audacity":
        write_audacity(folder, asked)
        say(f"{len(asked)} label tracks in {folder}. Next: fa-assets labels import {shlex.quote(str(folder))}")
        return
    write_label_studio(folder, asked, classes, address)
    say(f"{len(asked)} tasks in {folder / TASKS}, the labelling interface in {folder / CONFIG}.")


@labels_group.command("write-csv")
@_who
@_dataset_options
def labels_write_csv_command(who: str | None, **options: Any) -> None:
    """Write the corrected labels into train_curated.csv, and leave a copy of the old one beside it."""
    from fa_assets.intake.correcting import write_corrected_csv
    from fa_assets.intake.corrections import this_user

    dataset = apply_options(options).layout
    written = write_corrected_csv(dataset, who or this_user())
    if written is None:
        say("No label is corrected: nothing was written.")
    else:
        say(f"{written.changes} labels written to {dataset.labels_csv}; the old one is {written.backup}.")


@labels_group.command("next")
@click.option("--count", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="How many clips.")
@click.option("--csv", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write them to a CSV file.")
@setting_options("dataset", "storage")
def labels_next_command(count: int, file: Path | None, **options: Any) -> None:
    """Name the unlabelled clips that are most worth labelling: the model is unsure of them, and they are unlike one another.

    They are the clips of test/ that test.csv gives no labels, by their embeddings and the final classifier of the last run.
    """
    import csv

    from fa_assets.cli import tables
    from fa_assets.models.to_label import COLUMNS, clips_to_label
    from fa_assets.printable import spreadsheet_row

    rows = clips_to_label(apply_options(options).storage_root, count)
    if file is None:
        say(tables.plain(COLUMNS, rows), styled=True)
        return
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerows([COLUMNS, *map(spreadsheet_row, rows)])
    say(f"{len(rows)} clips in {file}. Label them in train_curated.csv, and move them to train_curated/.")


def _give(dataset: "KaggleDataset", verdicts: "list[Correction]") -> None:
    from fa_assets.intake.correcting import give_verdicts

    given = give_verdicts(dataset, verdicts)
    say(
        f"{len(given.appended)} verdicts appended to {dataset.corrections_csv}"
        + (f", {given.already} were there already." if given.already else ".")
        + (" They count from the next run on." if given.appended else "")
    )


def _asked(settings: Settings, *, every: bool) -> "tuple[list[Asked], list[str]]":
    """The clips to listen to and the classes, from what the last run stored."""
    from fa_assets.intake.exchange import Asked
    from fa_assets.store.values import ValueStore

    values = ValueStore(settings.storage_root)
    folds = values.read("folds")
    doubted: dict[str, list[str]] = {}
    for row in values.read("label_audit").table.to_pylist():
        doubted.setdefault(row["fname"], []).append(row["class_name"])
    clips = {row["fname"]: row for row in folds.table.select(["fname", "labels", "seconds"]).to_pylist()}
    names = [name for name in doubted if name in clips]
    names += [name for name in clips if every and name not in doubted]
    asked = [Asked(name, clips[name]["labels"], clips[name]["seconds"], doubted.get(name, ())) for name in names]
    return asked, list(folds.header.details["classes"])
