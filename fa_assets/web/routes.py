"""Every address that is answered beside Dagster's own, a line for each."""

from starlette.routing import BaseRoute

from fa_assets.web import reports
from fa_assets.web.site import Site, page, static


def routes(site: Site) -> list[BaseRoute]:
    """The routes, which come before Dagster's: its last one takes every address."""
    return [
        page(site, "/pages/{name}", static),
        page(site, "/reports", reports.index),
        page(site, "/reports/{run}.html", reports.report),
    ]
