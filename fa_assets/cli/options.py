"""What the commands of `fa-assets` share: settings as options, and errors as messages."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import click

from fa_assets.cli.interruption import INTERRUPTED, ignore_signals
from fa_assets.errors import UserError
from fa_assets.settings import Settings, load_settings, variable_of
from fa_assets.store.storage_errors import as_remote_error, as_storage_error

_METAVARS = {
    **dict.fromkeys(("dataset", "storage", "local"), "DIR"),
    "checkpoint": "FILE",
    "encoder": "NAME",
    "device": "DEVICE",
}


def setting_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One option per setting, described as the setting is."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            field = Settings.model_fields[name]
            choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
            command = click.option(
                f"--{name.replace('_', '-')}",
                name,
                type=click.Choice(choices) if choices else str,
                metavar=None if choices else _METAVARS.get(name, "N"),
                help=f"{field.description}  [{variable_of(name)}"
                + (f", default: {field.default}]" if isinstance(field.default, str | float | int) else "]"),
            )(command)
        return command

    return decorate


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
        if name.lower() not in own:
            return found[0]
        if verb and not to:
            verb, value = {"set ": "give ", "Set ": "Give "}[verb], value or own[name.lower()].metavar or ""
        return f"{verb}{own[name.lower()].opts[0]}" + (f" {value}" if value else "") + to

    return re.sub(r"\b([Ss]et )?FA_([A-Z_]+)(?:=('[^']*'|[\w.]*\w))?( to\b)?", option, text)


def _require_no_empty_value() -> None:
    """Raises: UserError: an option or argument was given an empty value, which would stand for its default."""
    context = click.get_current_context(silent=True)
    for one in context.command.params if context else ():
        value = context.params.get(one.name or "") if context else None
        if value == "" or (isinstance(value, tuple) and "" in value):
            if isinstance(one, click.Option):
                raise UserError(f"{one.opts[0]} is empty: give it a value, or leave it out.")
            raise UserError(f"{one.human_readable_name} is empty: give it a value.")


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Print what a user can fix as one line, and exit with 1; an interruption exits with 130."""
    try:
        _require_no_empty_value()
        yield
    except UserError as error:
        click.secho(in_options(str(error)), fg="red", err=True)
        sys.exit(1)
    except Exception as error:
        settings = load_settings()
        explained = as_remote_error(error, settings.storage_root) or as_storage_error(error, settings.local_root)
        if explained is None:
            raise
        click.secho(in_options(str(explained)), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        ignore_signals()
        click.secho(INTERRUPTED, err=True)
        sys.exit(130)
