"""What the commands of `fa-assets` share: settings as options, errors as messages, and how anything is printed."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click

from fa_assets.cli.interruption import INTERRUPTED, ignore_signals
from fa_assets.errors import UserError
from fa_assets.printable import printable
from fa_assets.settings import Settings, load_settings, option_of, variable_of
from fa_assets.store.storage_errors import as_memory_error, as_remote_error, as_storage_error

_METAVARS = {
    **dict.fromkeys(("dataset", "storage", "local"), "DIR"),
    "checkpoint": "FILE",
    "encoder": "NAME",
    "encoders": "NAMES",
    "device": "DEVICE",
    **dict.fromkeys(("scheme", "baseline", "classifier", "timezone", "threshold_rule"), "NAME"),
    "label_separator": "TEXT",
    "nightly_cron": "CRON",
    "ui_hosts": "HOSTS",
    "on_failure": "COMMAND",
    "ray_address": "ADDRESS",
    "experiments": "VARIANTS",
    "learning_curve": "COUNTS",
}
_EXAMPLES = {
    "run": "run --dataset data/birds --storage results/birds",
    "demo": "demo --storage data/demo",
    "status": "status --dataset data/birds --storage results/birds",
    "summary": "summary --storage results/birds",
    "report": "report --storage results/birds --open",
    "ui": "ui --dataset data/birds --storage results/birds --port 3001",
    "init": "init data/birds --yes",
    "fetch": "fetch esc50 --to data/esc50",
    "metrics": "metrics --storage results/birds",
    "thresholds": "thresholds --storage results/birds",
    "predict": "predict dog.wav --storage results/birds",
    "runs": "runs --last 5 --storage results/birds",
    "lineage": "lineage mc5_metrics --storage results/birds",
    "diff": "diff previous latest --storage results/birds",
    "sql": "sql --csv \"select class_name, lwlrap from lwlrap where scope = 'class'\"",
    "sync": "catalog sync --storage results/birds",
    "rebuild": "catalog rebuild --storage results/birds",
    "snapshot": "catalog snapshot copy.duckdb --storage results/birds",
    "schema": "catalog schema",
    "verify": "store verify --storage results/birds",
    "compact": "store compact --storage results/birds",
    "check": "encoders check cnn14",
    "apply": "labels apply verdicts.csv --dataset data/birds",
    "import": "labels import label_tracks --dataset data/birds",
    "export": "labels export label_tracks --format audacity --storage results/birds",
    "write-csv": "labels write-csv --dataset data/birds",
    "next": "labels next --count 20 --csv next.csv --storage results/birds",
}
"""How each command is called, for its --help."""


class Commands(click.Group):
    """A group whose list of commands says the whole of their first sentences, and whose commands show an example each and
    end with `friendly_errors`."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """See click."""
        cmd.callback = friendly_errors()(cmd.callback) if cmd.callback else None
        if example := _EXAMPLES.get(name or cmd.name or ""):
            cmd.epilog = f"Example: fa-assets {example}"
        super().add_command(cmd, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click, which cuts what does not fit in a line."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(1000)) for name in self.list_commands(ctx)]
            )


def setting_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One option per setting, described as the setting is."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            field = Settings.model_fields[name]
            choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
            command = click.option(
                option_of(name),
                name,
                type=click.Choice(choices) if choices else str,
                metavar=None if choices else _METAVARS.get(name, "N"),
                help=f"{field.description}  [{variable_of(name)}"
                + (f", default: {field.default}]" if isinstance(field.default, str | float | int) else "]"),
            )(command)
        return command

    return decorate


storage_options = setting_options("dataset", "storage", "local")
as_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def apply_options(options: dict[str, Any]) -> Settings:
    """Put the options that were given into the environment, and read the settings from there."""
    os.environ.update({variable_of(name): str(value) for name, value in options.items() if value is not None})
    return load_settings()


def in_options(text: str) -> str:
    """A message in the words of the command that was typed: where it has an option for a setting, not the variable."""
    context = click.get_current_context(silent=True)
    own = {one.name: one for one in context.command.params if isinstance(one, click.Option)} if context else {}

    def option(found: re.Match[str]) -> str:
        verb, name, value, to = found.groups(default="")
        is_from_outside = value.startswith("'") and context and context.params.get(name.lower()) is None
        if name.lower() not in own or is_from_outside:
            return found[0]
        if verb and (value or not to):
            verb, value = {"set ": "give ", "Set ": "Give "}[verb], value or own[name.lower()].metavar or ""
        return f"{verb}{own[name.lower()].opts[0]}" + (f" {value}" if value else "") + to

    return re.sub(r"\b([Ss]et )?FA_([A-Z_]+)(?:=('[^']*'|[\w.]*\w))?( to\b)?", option, text)


def say(text: object, *, err: bool = False, color: str | None = None, styled: bool = False) -> None:
    """Print text, which may hold names of others: it is made printable, unless it is `styled` by our console already."""
    try:
        click.secho(text if styled else printable(str(text), keep="\n\t"), err=err, fg=color)
    except OSError as error:
        if err or error.errno == errno.EPIPE:
            raise
        raise UserError(f"Standard output cannot be written to ({error.strerror}).") from error


def _explained(error: Exception) -> UserError | None:
    """The error of the storage, of memory, or of a file or folder that was named, as a sentence; None of another one."""
    settings, home = load_settings(), os.environ.get("DAGSTER_HOME")
    explained = (
        as_remote_error(error, settings.storage_root)
        or as_storage_error(error, settings.local_root, Path(home) if home else None)
        or as_memory_error(error)
    )
    if explained is None and isinstance(error, OSError) and error.filename is not None:
        place = os.fsdecode(error.filename)
        return UserError(f"{place} cannot be used ({error.strerror}): make that possible, or name another place.")
    return explained


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Print what a user can fix as one line, and exit with 1; an interruption exits with 130."""
    try:
        yield
    except Exception as error:
        explained = error if isinstance(error, UserError) else _explained(error)
        if explained is None:
            raise
        say(in_options(str(explained)), err=True, color="red")
        sys.exit(1)
    except KeyboardInterrupt:
        ignore_signals()
        say(INTERRUPTED, err=True)
        sys.exit(130)
