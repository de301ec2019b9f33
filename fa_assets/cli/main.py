"""`fa-assets`: the same definitions, headless.

The options of a command are the settings; each only sets its environment variable's value for this process and the ones
it starts, so the UI and the command line see the same.
"""

import os
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import click

from fa_assets.cli.catalog import CATALOG_COMMANDS
from fa_assets.cli.encoders import encoders_group
from fa_assets.cli.figures import metrics_command, thresholds_command
from fa_assets.cli.files import fetch_command, init_command, predict_command
from fa_assets.cli.labels import labels_group
from fa_assets.cli.options import Commands, apply_options, say, setting_options, storage_options
from fa_assets.cli.store import store_group
from fa_assets.cli.ui import ui_command
from fa_assets.setting_fields import DEMO_DATASET
from fa_assets.settings import Settings, variable_of

_ALL_SETTINGS = tuple(Settings.model_fields)


class _Main(Commands):
    """Refuses what is given empty, such as ``--dataset "$UNSET"``, which would be taken for the default."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """See click."""
        for before, given in pairwise(["", *arguments]):
            if not given or (given.startswith("--") and given.endswith("=")):
                name = before if before.startswith("-") and not given else given or "an argument"
                raise click.UsageError(f"{name.rstrip('=')} is given, and empty: give it a value, or leave it out.")
        typed = [*arguments]  # which click empties
        try:
            return super().parse_args(context, arguments)
        except click.NoSuchOption as error:
            if command := next((one for one in typed if one in self.commands), None):
                others = [one for one in typed if one != command]
                order = shlex.join(["fa-assets", command, *others])
                raise click.UsageError(
                    f"{error.format_message()} Options stand after the command: {order}", context
                ) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """See click; what a command does not know or lacks is refused with an example of how it is called."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            example = error.ctx.command.epilog if error.ctx else None
            is_about_a_value = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
            if not example or is_about_a_value:
                raise
            raise click.UsageError(f"{error.format_message()}\n{example}", error.ctx) from error


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fa_assets")
def main() -> None:
    """From a folder of labelled clips to embeddings, out-of-fold predictions and label-ranking metrics.

    Every option has an environment variable; the Dagster UI reads the same ones.
    """


@main.command("run")
@setting_options(*_ALL_SETTINGS)
@click.option(
    "--select",
    metavar="SELECTION",
    help="Only these assets, separated by commas, e.g. mc5_metrics, or '+mc5_metrics' for it and all it needs.",
)
@click.option(
    "--fold",
    "only",
    multiple=True,
    metavar="K",
    help="Only this fold of the embeddings, and what needs no other fold's that is not current; repeatable.",
)
@click.option("--force", is_flag=True, help="Also what is current.")
def run_command(select: str | None, only: tuple[str, ...], force: bool, **options: Any) -> None:
    """Materialize what is not current, with progress, and print a summary."""
    _run(apply_options(options), select=select, folds=only, force=force)


@main.command("demo")
@setting_options("storage", "device", "precision")
def demo_command(**options: Any) -> None:
    """Run everything on the generated demo set with untrained demo weights."""
    os.environ.update({variable_of("dataset"): str(DEMO_DATASET), variable_of("checkpoint"): "demo"})
    if options["storage"] is None:
        os.environ.pop(variable_of("storage"), None)
    _run(apply_options(options))


@main.command("status")
@setting_options(*_ALL_SETTINGS)
@click.option("--all", "everything", is_flag=True, help="A line for each value, and all that a failed run said.")
def status_command(everything: bool, **options: Any) -> None:
    """Say what is not current and why, and what failed."""
    settings = apply_options(options)
    from fa_assets.cli.status import status_lines
    from fa_assets.definitions import code_location
    from fa_assets.graph.runner import find_status

    status = find_status(code_location(settings))
    for line in status_lines(status, settings, everything=everything):
        say(line)
    if status.unreadable:
        say(f"Warning: {status.unreadable}", err=True)


@main.command("summary")
@setting_options(*_ALL_SETTINGS)
def summary_command(**options: Any) -> None:
    """Print the summary of what has been materialized."""
    from fa_assets.cli.summary import print_summary

    print_summary(apply_options(options))


@main.command("report")
@storage_options
@click.option("--open", "open_page", is_flag=True, help="Open it in the browser.")
def report_command(open_page: bool, **options: Any) -> None:
    """Print where the newest report page is, or open it."""
    from fa_assets.store.values import ValueStore

    root = apply_options(options).storage_root
    page = root / ValueStore(root).read("report").table.to_pylist()[0]["path"]
    if open_page:
        webbrowser.open(page.as_uri())
    say(str(page))


COMMANDS = (
    *CATALOG_COMMANDS,
    metrics_command,
    thresholds_command,
    store_group,
    encoders_group,
    labels_group,
    init_command,
    fetch_command,
    predict_command,
    ui_command,
)
for command in COMMANDS:
    main.add_command(command)


def _print_terms(console: Any, settings: Settings) -> None:
    from fa_assets.cli.summary import new_terms

    for terms in new_terms(settings):
        console.print(terms, markup=False, soft_wrap=True)


def _run(settings: Settings, *, select: str | None = None, folds: Sequence[str] = (), force: bool = False) -> None:
    from fa_assets.cli.console import Console, print_outcome, progress, terminal, warn
    from fa_assets.cli.status import other_settings
    from fa_assets.cli.summary import print_summary
    from fa_assets.definitions import code_location
    from fa_assets.graph.runner import prepare_environment, run

    console = Console(file=terminal(), highlight=False)
    lines = f"Dataset {settings.dataset}\nStorage {settings.storage_root}\nWeights {settings.checkpoint_label}"
    console.print("\n".join([lines, *other_settings(settings)]), markup=False, soft_wrap=True)
    with progress(console) as (watcher, on_step):
        location = code_location(settings, watcher)
        prepare_environment(location)
        outcome = run(
            location,
            select=select,
            folds=folds,
            force=force,
            on_plan=partial(_print_terms, console, settings),
            on_step=on_step,
            on_warning=partial(warn, console),
        )
    print_outcome(console, outcome)
    if outcome.failures:
        sys.exit(1)
    print_summary(settings)
