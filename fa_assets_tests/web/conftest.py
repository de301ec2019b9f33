"""The pages as a browser asks for them, behind the guard and before a Dagster that answers everything."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from fa_assets.cli.webserver import with_pages
from fa_assets.settings import Settings

HERE = "http://127.0.0.1:3000"
OWN = {"origin": HERE, "sec-fetch-site": "same-origin"}


def dagster(request: Request) -> Response:
    return PlainTextResponse("Dagster")


def served(settings: Settings) -> TestClient:
    app = with_pages(Starlette(routes=[Route("/{path:path}", dagster)]), settings)
    return TestClient(app, base_url=HERE, headers=OWN)


@pytest.fixture
def empty(tmp_path: Path) -> TestClient:
    """Pages over a storage folder in which nothing is yet."""
    return served(Settings(dataset=tmp_path / "dataset", storage=tmp_path / "storage"))
