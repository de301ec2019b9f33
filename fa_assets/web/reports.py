"""The reports in the storage, each of a run: a page of a file that needs nothing beside it; and the assets' pictures."""

import re
from contextlib import suppress
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fa_assets.catalog.tracing import runs, up_to_date
from fa_assets.errors import UserError
from fa_assets.store.roots import listing
from fa_assets.web.addresses import PICTURES, compare_address, report_address
from fa_assets.web.site import Site, missing, render

_RUN = re.compile(r"[\w-]+")
_PICTURE = re.compile(r"[0-9a-f]{64}\.svg")
HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; media-src data:; frame-ancestors 'none'"
}
"""A report is one file with all in it; it is of no origin here, so that nothing in it can ask Dagster for anything."""


def index(site: Site, request: Request) -> Response:
    """All reports, the newest first."""
    found = sorted(listing(site.root / "reports"), key=lambda one: one.modified, reverse=True)
    rows = [
        (one.name.removesuffix(".html"), datetime.fromtimestamp(one.modified, UTC))
        for one in found
        if one.name.endswith(".html")
    ]
    lwlrap: dict[str, str] = {}
    with suppress(UserError), up_to_date(site.catalog) as connection:
        for run in runs(connection):
            figures = [f"{name} {value:.4f}" for name, value in run.lwlrap.items() if value is not None]
            lwlrap[run.run_id] = f", LWLRAP {', '.join(figures)}" if figures else ""
    kept = {one.name.removesuffix(".parquet") for one in found if one.name.endswith(".parquet")}
    return render(
        "reports.html.j2",
        title="Reports",
        rows=[
            (
                report_address(run),
                run[:8] + lwlrap.get(run, ""),
                when,
                compare_address(before, run) if before in kept and run in kept else None,
            )
            for (run, when), before in zip(rows, [*(run for run, _ in rows[1:]), None], strict=False)
        ],
    )


def report(site: Site, request: Request) -> Response:
    """The report of a run, as it was written."""
    run = request.path_params["run"]
    try:
        if not _RUN.fullmatch(run):
            raise FileNotFoundError
        content = (site.root / "reports" / f"{run}.html").read_bytes()
    except FileNotFoundError:
        return missing("This run has no report in the storage folder; /reports lists those that are there.")
    return HTMLResponse(content, headers=HEADERS)


def picture(site: Site, request: Request) -> Response:
    """A picture of an asset, which its metadata in Dagster shows."""
    name = request.path_params["name"]
    if not _PICTURE.fullmatch(name):
        return missing("Pictures are called by their sha256.")
    try:
        content = (site.root / PICTURES / name).read_bytes()
    except FileNotFoundError:
        return missing("This picture is no longer in the storage folder.")
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(content, media_type="image/svg+xml", headers=headers)
