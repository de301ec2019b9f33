"""What `fa-assets status` says: what failed last and how to go on, then what is not current."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fa_assets.cli.options import in_options
from fa_assets.settings import Settings

if TYPE_CHECKING:
    from fa_assets.graph.runner import Status

_LINES_OF_A_FAILURE = 2
_ENDED = "was interrupted: the UI or the command was closed, or its process was killed."


def status_lines(status: "Status", settings: Settings, *, everything: bool) -> Iterator[str]:
    """The lines: a few, or with `everything` one for each value, and all that a failed run said."""
    if not status.stale:
        yield "Everything is current."
        return
    yield from other_settings(settings)
    if status.failed_run:
        said = "\n".join(status.failures).splitlines()
        shown = said if everything else said[:_LINES_OF_A_FAILURE]
        more = f" ... (--all says the other {len(said) - len(shown)} lines)" if len(said) > len(shown) else ""
        how = "failed: " + "\n".join(shown) + more if said else _ENDED
        yield in_options(f"The last run, {status.failed_run[:8]}, {how}")
    if everything:
        for one in status.stale:
            yield f"{one.asset}{'' if one.partition is None else f', fold {one.partition}'}: {one.reason}"
    elif status.failed_run:
        yield f"Not current: {', '.join(dict.fromkeys(one.asset for one in status.stale))} (--all says why)"
    else:
        yield from _grouped(status)
    if status.failed_run:
        yield f"{'Once that is fixed' if status.failures else 'What it made is kept; to go on'}: {settings.command_line('run')}"


def other_settings(settings: Settings) -> list[str]:
    """A line where the settings are not those that the storage folder was last made with, as where an option was left out."""
    from fa_assets.graph.made_with import changed

    said = "; ".join(changed(settings.storage_root, settings.deciding).values())
    return [f"Other settings than those of the last run here: {said}"] if said else []


def _grouped(status: "Status") -> Iterator[str]:
    """A line for each reason, and one for all that only waits for others."""
    assets: dict[str, dict[str, None]] = {}
    for one in status.stale:
        if not one.waits:
            assets.setdefault(one.reason, {})[one.asset] = None
    own = {name for names in assets.values() for name in names}
    for reason, names in assets.items():
        yield f"{', '.join(names)}: {reason}"
    if waiting := dict.fromkeys(one.asset for one in status.stale if one.asset not in own):
        yield f"Made from what is not current: {', '.join(waiting)}"
