"""What every page has: the storage and the dataset it shows, its template, its headers, and how it says what is missing.

A page runs no script and no style but files of `static/`, asks nobody but this server, and is framed by nobody.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from fa_assets.catalog.database import Catalog
from fa_assets.errors import UserError
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.printable import printable_inside
from fa_assets.store.roots import StoragePath

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of every answer; one that has its own of a name keeps it."""


@dataclass(frozen=True)
class Site:
    """What the pages show: one storage, and the dataset that it was made from.

    Attributes:
        scratch: a folder of this machine for what is decoded.
        duplicate_similarity: the setting; None for the encoder's.
        refresh: how the page asks Dagster for a refresh, and which sensor starts one by itself.
    """

    root: StoragePath
    dataset: KaggleDataset
    catalog: Catalog
    scratch: Path
    duplicate_similarity: float | None
    refresh: Mapping[str, Any]


Endpoint = Callable[[Site, Request], Response] | Callable[[Site, Request], Awaitable[Response]]


def page(site: Site, path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    """A route whose answers have the headers; where what it shows is not there, the page says so."""

    async def answer(request: Request) -> Response:
        try:
            if iscoroutinefunction(endpoint):
                response: Response = await endpoint(site, request)
            else:
                response = await run_in_threadpool(partial(endpoint, site, request))  # type: ignore[arg-type]
        except UserError as error:
            response = missing(str(error))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return Route(path, answer, methods=[method])


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A template of `templates/` as a page."""
    return HTMLResponse(_templates().get_template(template).render(**values), status)


def missing(reason: str) -> Response:
    """The page for what is not there."""
    return render("message.html.j2", 404, title="Not here", text=reason)


def static(site: Site, request: Request) -> Response:
    """A file of `static/`."""
    name = request.path_params["name"]
    if name not in {one.name for one in (HERE / "static").iterdir()}:
        return missing(f"There is no file {name}.")
    return FileResponse(HERE / "static" / name)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable_inside(value, keep="\n"),
    )
