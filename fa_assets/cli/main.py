"""`fa-assets`: the same definitions, headless.

The options of a command are the settings; each only sets its environment variable's value for this process and the ones
it starts, so the UI and the command line see the same.
"""

import io
import logging
import os
import shlex
import signal
import sys
import traceback
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from fa_assets.cli.catalog import CATALOG_COMMANDS
from fa_assets.cli.encoders import encoders_group
from fa_assets.cli.files import init_command, predict_command
from fa_assets.cli.options import apply_options, friendly_errors, setting_options
from fa_assets.cli.store import store_group
from fa_assets.errors import UserError
from fa_assets.progress import Pace
from fa_assets.settings import DATA_FOLDER, DEMO_DATASET, Settings, variable_of

if TYPE_CHECKING:
    from rich.console import Console

    from fa_assets.graph.progress import Watcher
    from fa_assets.graph.runner import RunOutcome, StepListener

_PLAIN_EVERY_S = 5.0


_ALL_SETTINGS = tuple(Settings.model_fields)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
    "--fold", "only", multiple=True, metavar="K", help="Only this fold of the partitioned assets; repeatable."
)
@click.option("--force", is_flag=True, help="Also what is current.")
def run_command(select: str | None, only: tuple[str, ...], force: bool, **options: Any) -> None:
    """Materialize what is not current, with progress, and print a summary."""
    with friendly_errors():
        _run(apply_options(options), select=select, folds=only, force=force)


@main.command("demo")
@setting_options("storage", "device", "precision")
def demo_command(**options: Any) -> None:
    """Run everything on the generated demo set with untrained demo weights."""
    with friendly_errors():
        os.environ.update({variable_of("dataset"): str(DEMO_DATASET), variable_of("checkpoint"): "demo"})
        if options["storage"] is None:
            os.environ.pop(variable_of("storage"), None)
        _run(apply_options(options), ui_command="make ui")


@main.command("fetch")
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
        from rich.console import Console

        from fa_assets.intake.corpora import ALL
        from fa_assets.intake.corpora.fetch import fetch
        from fa_assets.intake.corpora.layout import about

        logging.basicConfig(format="%(message)s")
        folder = Path(to or DATA_FOLDER / corpus).expanduser().absolute()
        console = Console(stderr=True, highlight=False)
        console.print(about(ALL[corpus]) + f"Into {folder}", markup=False, soft_wrap=True)
        with _progress(console) as (watcher, _):
            fetched = fetch(
                ALL[corpus],
                folder,
                parts=None if parts is None else [part.strip() for part in parts.split(",")],
                kaggle_order=kaggle_order,
                mirror=mirror,
                keep_archives=keep_archives,
                progress=lambda task: partial(watcher, task, "bytes"),
            )
        click.echo(f"{fetched.clips} clips, {fetched.classes} classes, {fetched.test_clips} test clips in {folder}")
        click.echo(f"fa-assets run --dataset {shlex.quote(str(folder))}")


@main.command("status")
@setting_options("dataset", "storage", "local", "encoder", "checkpoint", "precision", "on_bad_clip", "folds")
def status_command(**options: Any) -> None:
    """Say what is not current, and why."""
    with friendly_errors():
        settings = apply_options(options)
        from fa_assets.graph.runner import find_what_is_stale

        stale = find_what_is_stale(settings)
        for one in stale:
            click.echo(f"{one.asset}{'' if one.partition is None else f', fold {one.partition}'}: {one.reason}")
        if not stale:
            click.echo("Everything is current.")


@main.command("summary")
@setting_options("dataset", "storage", "local", "encoder")
def summary_command(**options: Any) -> None:
    """Print the summary of what has been materialized."""
    with friendly_errors():
        settings = apply_options(options)
        _print_summary(settings, _ui_command(settings))


@main.command("report")
@setting_options("dataset", "storage", "local")
@click.option("--open", "open_page", is_flag=True, help="Open it in the browser.")
def report_command(open_page: bool, **options: Any) -> None:
    """Print where the newest report page is, or open it."""
    with friendly_errors():
        from fa_assets.store.values import ValueStore

        root = apply_options(options).storage_root
        page = root / ValueStore(root).read("report").table.to_pylist()[0]["path"]
        if open_page:
            webbrowser.open(page.as_uri())
        click.echo(str(page))


@main.command("ui")
@setting_options(*_ALL_SETTINGS)
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui_command(port: int, **options: Any) -> None:
    """Open the Dagster UI (webserver and daemon) on 127.0.0.1 over the same instance."""
    with friendly_errors():
        from fa_assets.graph.runner import prepare_environment

        prepare_environment(apply_options(options))
        project = Path(__file__).parents[2]
        if not (project / "pyproject.toml").is_file():
            raise UserError(
                "The UI is started from a checkout of fa_assets: there is no pyproject.toml beside the package."
            )
        os.chdir(project)
        os.environ["VIRTUAL_ENV"] = sys.prefix  # dg warns when it runs in another environment than the active one
        dg_command = Path(sys.executable).with_name("dg")
        os.execv(dg_command, [str(dg_command), "dev", "--host", "127.0.0.1", "--port", str(port)])


for command in (*CATALOG_COMMANDS, store_group, encoders_group, init_command, predict_command):
    main.add_command(command)


def _run(
    settings: Settings,
    *,
    select: str | None = None,
    folds: Sequence[str] = (),
    force: bool = False,
    ui_command: str | None = None,
) -> None:
    from fa_assets.graph.runner import prepare_environment, run

    signal.signal(signal.SIGTERM, _interrupt)  # stopped by a batch system or `kill`: as by Ctrl-C
    prepare_environment(settings)
    from rich.console import Console

    console = Console(file=_terminal(), highlight=False)
    console.print(f"Dataset {settings.dataset}\nStorage {settings.storage_root}\nWeights {settings.checkpoint_label}")
    with _progress(console) as (watcher, on_step):
        outcome = run(
            settings,
            select=select,
            folds=folds,
            force=force,
            watcher=watcher,
            on_step=on_step,
            on_warning=partial(_warn, console),
        )
    _report(console, outcome)
    if outcome.failures:
        sys.exit(1)
    _print_summary(settings, ui_command or _ui_command(settings))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _terminal() -> TextIO:
    """Standard error under a number of its own: Dagster redirects the process's streams into the run's log.

    Where it has no number, as when Python code calls the command and takes what it writes, it is not redirected either.
    """
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w")
    except io.UnsupportedOperation:
        return sys.stderr


def _ui_command(settings: Settings) -> str:
    """The command that opens the UI with the settings that are not the defaults."""
    given = settings.model_dump(exclude_defaults=True, exclude_none=True)
    if settings.checkpoint_label != settings.checkpoint_source:
        given.pop("checkpoint")  # a URL with credentials is not repeated; it is in the environment, or typed again
    elif "checkpoint" in given:
        given["checkpoint"] = settings.checkpoint_source
    options = [f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items()]
    return " ".join(["fa-assets ui", *options])


@contextmanager
def _progress(console: "Console") -> Iterator[tuple["Watcher", "StepListener"]]:
    """Draws bars on a terminal, and writes a line now and then elsewhere."""

    def say_step(asset: str, seconds: float | None) -> None:
        if seconds is not None:
            console.print(f"{asset}: done in {seconds:.1f} s", soft_wrap=True)

    if not console.is_terminal:
        paces: dict[str, Pace] = {}

        def say(task: str, unit: str, done: int, total: int) -> None:
            line = paces.setdefault(task, Pace(task, unit, _PLAIN_EVERY_S)).say(done, total)
            if line is not None:
                console.print(line, soft_wrap=True)

        yield say, say_step
        return

    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.1f}/s")

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        Rate(),
        TimeRemainingColumn(),
        console=console,
    )
    tasks: dict[str, TaskID] = {}

    def draw(task: str, unit: str, done: int, total: int) -> None:
        if task not in tasks:
            tasks[task] = bars.add_task(task, total=total, unit=unit)
        bars.update(tasks[task], completed=done, total=total)

    def draw_step(asset: str, seconds: float | None) -> None:
        if seconds is None:  # a pulse, until it is done or has bars of its own
            tasks[asset] = bars.add_task(asset, total=None, unit="")
        else:
            for name in [name for name in tasks if name.partition(",")[0] == asset]:
                bars.remove_task(tasks.pop(name))
            say_step(asset, seconds)

    with bars:
        yield draw, draw_step


def _warn(console: "Console", line: str) -> None:
    console.print(f"Warning: {line}", style="yellow", markup=False, soft_wrap=True)


def _report(console: "Console", outcome: "RunOutcome") -> None:
    if outcome.run_id is None:
        console.print("Everything is current: nothing to compute.")
    for line in outcome.warnings:
        _warn(console, line)
    for line in outcome.failures:
        console.print(f"Failed: {line}", style="red", markup=False, soft_wrap=True)
    if outcome.failures:
        console.print("What was finished is kept; the same command goes on from there.")


def _print_summary(settings: Settings, ui_command: str) -> None:
    from fa_assets.cli.summary import read_summary

    summary = read_summary(settings.storage_root, settings.encoder)
    if summary.clips is None:
        click.echo("Nothing has been materialized yet.")
        return
    lines = [("clips", f"{summary.clips} ({summary.hours:.2f} h), {summary.classes} classes")]
    if summary.left_out:
        lines.append(("left out", f"{len(summary.left_out)} clips that cannot be used:"))
        lines += [("", f"{fname}: {reason}") for fname, reason in summary.left_out[:20]]
    if summary.checkpoint_origin is not None:
        lines.append(("weights", summary.checkpoint_origin))
        if not summary.checkpoint_trained:
            lines.append(("", "UNTRAINED weights: the figures show that the pipeline works, nothing about real sound"))
    for scheme, result in summary.results.items():
        per_fold = "  ".join(f"{value:.4f}" for value in result.per_fold)
        lines.append((f"LWLRAP {scheme}", f"{result.overall:.4f}   folds {per_fold}"))
    if len(summary.results) == 2:
        difference = summary.results["mc5"].overall - summary.results["center"].overall
        lines.append(("mc5 - center", f"{difference:+.4f}"))
    lines += [
        ("files", str(summary.storage)),
        ("catalog", str(settings.local_root / "catalog.duckdb")),
        *([("report", str(summary.report))] if summary.report else []),
        ("look at it", ui_command),
    ]
    for name, text in lines:
        click.echo(f"{name:>14}  {text}")


def entry() -> None:
    """The console script: `main`, then an exit that keeps its code.

    Threads that native libraries leave running can abort the interpreter's teardown ("terminate called without an active
    exception") after all work is done and written; so the process ends without that teardown.
    """
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
