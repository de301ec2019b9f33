"""Every address that is answered beside Dagster's own, a line for each."""

from starlette.routing import BaseRoute

from fa_assets.web import compare, reports, review, sound
from fa_assets.web.addresses import COMPARE, PICTURES, REVIEW
from fa_assets.web.site import Site, page, static


def routes(site: Site) -> list[BaseRoute]:
    """The routes, which come before Dagster's: its last one takes every address."""
    return [
        page(site, "/pages/{name}", static),
        page(site, "/reports", reports.index),
        page(site, "/reports/{run}.html", reports.report),
        page(site, f"/{PICTURES}/{{name}}", reports.picture),
        page(site, COMPARE, compare.compare),
        page(site, REVIEW, review.review),
        page(site, f"{REVIEW}/doubts", review.doubts),
        page(site, f"{REVIEW}/state", review.state),
        page(site, f"{REVIEW}/clip", review.clip),
        page(site, f"{REVIEW}/sound", sound.sound),
        page(site, f"{REVIEW}/spectrogram", sound.spectrogram),
        page(site, f"{REVIEW}/verdicts", review.verdict, "POST"),
    ]
