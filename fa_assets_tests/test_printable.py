"""Text of others is shown escaped, at whichever edge it leaves: terminal, UI, pictures, report, tables for a spreadsheet."""

import io
import logging
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import click
import dagster as dg
import pytest
from rich.table import Table

import fa_assets
from fa_assets.cli.console import Console
from fa_assets.cli.options import say
from fa_assets.errors import BadInputError
from fa_assets.graph.display import EscapingFilter, failure, records, shown
from fa_assets.printable import printable, spreadsheet_row
from fa_assets.report.page import Figure, Page, Section, render
from fa_assets.report.page import Table as PageTable
from fa_assets.report.picture import draw, shorten

HOSTILE = "a\x1b]0;owned\x07\x1b[31m\u202egpj.wav\udcff\x00\x9b\r\n- forged: line"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\udc00-\udfff]")
PACKAGE = Path(fa_assets.__file__).parent


def on_terminal(text: str) -> str:
    @click.command()
    def command() -> None:
        say(text)

    return click.testing.CliRunner().invoke(command, catch_exceptions=False).stdout


def on_console(text: str) -> str:
    file = io.StringIO()
    table = Table("fname")
    table.add_row(text)
    console = Console(file=file, width=300, highlight=False)
    for one in (text, table):
        console.print(one, markup=False)
    return file.getvalue()


def in_a_log(text: str) -> str:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "left out %s", (text,), None)
    EscapingFilter().filter(record)
    return record.getMessage()


def in_metadata(text: str) -> str:
    table = records(["fname"], [[text]])
    metadata = shown({"one": text, "table": table, "path": dg.MetadataValue.path(text), "many": [text], "no": None})
    assert set(metadata) == {"one", "table", "path", "many"}
    return "".join(
        [metadata["one"], *metadata["many"], metadata["path"].path, metadata["table"].records[0].data["fname"]]
    )


def in_the_report(text: str) -> str:
    table = PageTable(text, [text], [[text]])
    figures = [Figure(text, text, text, text)]
    return render(Page(text, text, text, figures, [text], [Section(text, text, tables=[table])]))


def in_a_picture(text: str) -> str:
    picture = draw(text, text, lambda axis: axis.set_title(shorten(text, 500)), height=1)
    ElementTree.fromstring(picture.svg)
    return picture.svg + picture.alt


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.promise(
    "Control and escape characters in names, labels and messages are shown escaped: on the terminal, in the UI, in pictures, "
    "in the report, in tables for a spreadsheet.",
    "input",
)
@pytest.mark.parametrize(
    "show",
    [
        on_terminal,
        on_console,
        in_a_log,
        in_metadata,
        in_the_report,
        in_a_picture,
        lambda text: str(failure(ValueError(text)).description),
        lambda text: str(spreadsheet_row([text])[0]),
    ],
    ids=["terminal", "console", "log", "metadata", "report", "picture", "failure", "spreadsheet"],
)
def test_what_steers_is_shown_escaped(show: Callable[[str], str]) -> None:
    said = show(HOSTILE)
    assert r"a\x1b]0;owned\x07\x1b[31m\u202egpj.wav\udcff\x00\x9b" in said
    assert STEERING.findall(said) == []


def test_a_name_forges_no_line_of_an_error() -> None:
    assert str(BadInputError("Clips.", [HOSTILE])).splitlines()[1:] == [f"  - {printable(HOSTILE)}"]


@pytest.mark.parametrize("text", ["Überraschung, naïve", "雨の音", "گربه‌ها", "👩‍🔬", "NA", "a b\xa0c"])
def test_the_words_of_any_script_stay(text: str) -> None:
    assert printable(text) == text


@pytest.mark.promise("No text in a table for a spreadsheet (label_audit.csv) begins a formula.", "input", "5 formulas")
@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", " =1"])
def test_no_cell_begins_a_formula(text: str) -> None:
    assert spreadsheet_row([text, -0.5, 3]) == [f"'{printable(text)}", -0.5, 3]


def test_all_that_the_commands_print_comes_through_the_edge() -> None:
    found = {
        path.name
        for path in (PACKAGE / "cli").glob("*.py")
        if re.search(
            r"click\.s?echo\(|click\.secho\(|[^.]print\(|import Console\b(?<!cli\.console import Console)",
            path.read_text(),
        )
    }
    assert found == {"options.py"}
