"""What a failed run leaves for the person who has to fix it: one Markdown file, and a call to a program that sends messages."""

import logging
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from fa_assets.graph.place import Place
from fa_assets.printable import printable
from fa_assets.store.atomic import replacing

log = logging.getLogger(__name__)

_NOTIFY_LIMIT_S = 30.0


def write_failure(context: dg.RunFailureSensorContext, place: Place, command: str) -> Path:
    """Write `failures/<time>_<run>.md` in the local folder: what failed, why, and the command to go on; return its path."""
    run = context.dagster_run
    steps = [(event.step_key, _cause(event)) for event in context.get_step_failure_events()]
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    lines = [
        f"# Run {run.run_id} failed",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, job {run.job_name}, dataset {place.dataset.layout.root}",
        *([f"Selected assets: {', '.join(assets)}."] if assets else []),
        "",
        "## What failed",
        "",
        *(f"- `{step}`: {printable(cause, keep=chr(10))}" for step, cause in steps),
        *([] if steps else [f"- {context.failure_event.message or 'its process ended without a message'}"]),
        "",
        "## How to go on",
        "",
        "What was finished is kept; no crop is embedded twice. Fix what is listed above. A change of the data, the settings or "
        "the code starts what is stale by itself, and the nightly schedule tries it again in any case. To go on at once:",
        "",
        f"    {command}",
        "",
        f"or, in the UI, Re-execute on the page of the run, /runs/{run.run_id}.",
        "",
    ]
    path = place.recorder.local_root / "failures" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}_{run.run_id[:8]}.md"
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines))
    return path


def notify(command: str, failure: Path) -> None:
    """Call a program with the failure's file as its last argument; that it cannot be called is logged, no more."""
    try:
        done = subprocess.run(
            [*shlex.split(command), str(failure)], timeout=_NOTIFY_LIMIT_S, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        log.error("FA_ON_FAILURE=%r could not be called: %s", command, error)
        return
    if done.returncode:
        log.error("FA_ON_FAILURE=%r ended with %d: %s", command, done.returncode, done.stderr.strip()[-500:])


def _cause(event: dg.DagsterEvent) -> str:
    """Why a step failed: our own words where it was refused, else the last error."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    if data.error is None:
        return "failed"
    return (data.error.cause or data.error).to_string().strip().splitlines()[0]
