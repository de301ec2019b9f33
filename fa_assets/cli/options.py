"""What the commands of `fa-assets` share: settings as options, and errors as messages."""

import os
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


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Print what a user can fix as one line, and exit with 1; an interruption exits with 130."""
    try:
        yield
    except UserError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    except Exception as error:
        settings = load_settings()
        explained = as_remote_error(error, settings.storage_root) or as_storage_error(error, settings.local_root)
        if explained is None:
            raise
        click.secho(str(explained), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        ignore_signals()
        click.secho(INTERRUPTED, err=True)
        sys.exit(130)
