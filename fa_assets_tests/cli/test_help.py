"""What --help shows: whole sentences, an example for each command, and what kind of value an option takes."""

import shlex
from collections.abc import Iterator
from typing import get_args

import click
import pytest
from click.testing import CliRunner

from fa_assets.cli.main import main
from fa_assets.settings import Settings


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_shows_an_example_that_can_be_typed(path: tuple[str, ...]) -> None:
    epilog = str(COMMANDS[path].epilog)
    words = shlex.split(epilog.removeprefix("Example: fa-assets "))
    assert tuple(words[: len(path)]) == path
    context = click.Context(COMMANDS[path])
    COMMANDS[path].parse_args(context, words[len(path) :])  # raises click.UsageError where it cannot


@pytest.mark.parametrize("group", [(), ("catalog",), ("store",)])
def test_what_a_command_does_is_not_cut(group: tuple[str, ...]) -> None:
    assert "..." not in CliRunner().invoke(main, [*group, "--help"]).output.partition("Commands:")[2]


def test_what_is_no_number_is_not_shown_as_one() -> None:
    for name, field in Settings.model_fields.items():
        (option,) = (one for one in COMMANDS[("run",)].params if one.name == name)
        is_number = {int, float} & {field.annotation, *get_args(field.annotation)}
        assert (option.metavar == "N") == bool(is_number), name
