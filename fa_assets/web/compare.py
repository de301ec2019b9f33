"""Two runs side by side, as `fa-assets diff A B --html FILE` writes it: without names, the two newest that have a report."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fa_assets.catalog.tracing import up_to_date
from fa_assets.errors import UserError
from fa_assets.report.compare import comparison_of
from fa_assets.report.page import render
from fa_assets.store.roots import listing
from fa_assets.web.reports import HEADERS
from fa_assets.web.site import Site


def compare(site: Site, request: Request) -> Response:
    """The page about the runs ``a`` and ``b``."""
    files = sorted(listing(site.root / "reports"), key=lambda one: one.modified, reverse=True)
    kept = [one.name.removesuffix(".parquet") for one in files if one.name.endswith(".parquet")]
    names = dict(zip(("b", "a"), kept, strict=False))
    names |= {side: name for side in ("a", "b") if (name := request.query_params.get(side))}
    if len(names) < 2:
        raise UserError(
            f"It takes two runs with a report to compare them, and there is {len(names) or 'none'} so far: `fa-assets run` "
            "makes another as soon as labels, clips or settings are others."
        )
    with up_to_date(site.catalog) as connection:
        page = comparison_of(site.root, site.dataset, connection, names["a"], names["b"])
    return HTMLResponse(render(page), headers=HEADERS)
