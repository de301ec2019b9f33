"""Dagster's webserver behind a guard, so that a web page of somebody else cannot steer it: `python -m fa_assets.cli.webserver`.

It takes the options of `dagster-webserver`. Dagster's server knows no passwords, and a browser asks any server for any page. So
requests are refused that name another host than this machine or `FA_UI_HOSTS` (DNS rebinding), or that a page of another origin
makes; but for links, which open a page by itself. What changes something comes by POST and as JSON, which no form can send, and
no query is answered that is in an address. Programs, which send no Origin, are let in.

On the same origin, and behind the same guard, are the pages of `fa_assets.web`. Dagster's page takes `dagster.css` too: in
its tables of metadata long names wrap, and pictures shrink, where they would be cut.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from dagster_webserver import cli
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fa_assets.catalog.database import Catalog
from fa_assets.graph.refresh import refresh_from_a_page
from fa_assets.settings import Settings, load_settings
from fa_assets.store.atomic import temporary_folder
from fa_assets.web.routes import routes
from fa_assets.web.site import Site

_DAGSTERS_PAGE = "index_html_endpoint"
_STYLE = b'<link rel="stylesheet" href="/pages/dagster.css"></head>'
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]")


class Guard:
    """Starlette middleware: answers 403 to what is refused.

    Args:
        hosts: other names than loopback's under which the UI may be asked, as in the header Host, without a port.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.strip().lower() for host in hosts if host.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        app: ASGIApp = self._app
        if scope["type"] in ("http", "websocket") and (reason := self._refusal(scope)):
            app = PlainTextResponse(
                f"Refused: {reason}\n", status_code=403, headers={"X-Content-Type-Options": "nosniff"}
            )
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        hosts, method = headers.getlist("host"), scope.get("method", "GET")
        name = re.sub(r":\d+$", "", hosts[0].lower()) if len(hosts) == 1 else ""
        if not _LOOPBACK.fullmatch(name) and name not in self._hosts:
            return "this host name is not known here; name it in FA_UI_HOSTS."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
            return "asked by a page of another origin; a proxy has to pass on the header Host as it came."
        is_graphql = scope["path"].rstrip("/").endswith("/graphql")
        opens_a_page = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        is_a_link = opens_a_page and method == "GET" and not is_graphql
        if site not in ("same-origin", "none") and not is_a_link:
            return "asked by a page of another origin."
        if scope["type"] == "websocket":
            return None
        if method not in ("GET", "HEAD", "OPTIONS"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if method != "POST" or kind != "application/json":
                return "changes are made by POST with the content type application/json."
        elif is_graphql and "text/html" not in headers.get("accept", ""):
            return "queries are made by POST."
        return None


def _styled(route: Any) -> Route:
    """The route of Dagster's page, which asks for the stylesheet too."""
    endpoint: Callable[[Request], HTMLResponse] = route.endpoint

    def page(request: Request) -> HTMLResponse:
        response = endpoint(request)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return HTMLResponse(bytes(response.body).replace(b"</head>", _STYLE, 1), response.status_code, headers)

    return Route(route.path, page)


def with_pages(app: Starlette, settings: Settings, scratch: Path) -> Starlette:
    """Dagster's app with the pages of `fa_assets.web`, all of it behind the guard; `scratch` is for what they decode."""
    catalog = Catalog.of(settings.local_root, settings.storage_root)
    site = Site(
        settings.storage_root, settings.layout, catalog, scratch, settings.duplicate_similarity, refresh_from_a_page()
    )
    dagsters = [_styled(one) if getattr(one, "name", "") == _DAGSTERS_PAGE else one for one in app.router.routes]
    app.router.routes[:] = [*routes(site), *dagsters]
    app.add_middleware(Guard, hosts=(settings.ui_hosts or "").split(","))
    return app


def main() -> None:
    """`dagster-webserver` with the pages and the guard."""
    settings = load_settings()
    make = cli.create_app_from_workspace_process_context  # type: ignore[attr-defined]
    with temporary_folder() as scratch:

        def make_with_pages(context: Any, path_prefix: str = "", *others: Any, **options: Any) -> Starlette:
            if path_prefix:
                raise click.UsageError(
                    "--path-prefix: the pages beside Dagster's, and the links to them in its metadata, begin at /. Give the "
                    "UI a host name of its own behind the proxy, and name that in FA_UI_HOSTS."
                )
            return with_pages(make(context, path_prefix, *others, **options), settings, scratch)

        cli.create_app_from_workspace_process_context = make_with_pages  # type: ignore[attr-defined, assignment]
        cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
