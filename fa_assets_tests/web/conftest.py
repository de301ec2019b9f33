"""The pages as a browser asks for them, behind the guard and before a Dagster that answers everything."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from fa_assets.cli.webserver import with_pages
from fa_assets.settings import Settings
from fa_assets_tests.finished_run import FinishedRun

HERE = "http://127.0.0.1:3000"
OWN = {"origin": HERE, "sec-fetch-site": "same-origin"}


def dagster(request: Request) -> Response:
    return PlainTextResponse("Dagster")


def served(settings: Settings, scratch: Path) -> TestClient:
    app = with_pages(Starlette(routes=[Route("/{path:path}", dagster)]), settings, scratch)
    return TestClient(app, base_url=HERE, headers=OWN)


@pytest.fixture
def empty(tmp_path: Path) -> TestClient:
    """Pages over a storage folder in which nothing is yet."""
    return served(Settings(dataset=tmp_path / "dataset", storage=tmp_path / "storage"), tmp_path)


@dataclass(frozen=True)
class Reviewed:
    """Pages over a copy of the small finished run."""

    client: TestClient
    settings: Settings
    scratch: Path

    @property
    def clips(self) -> Path:
        return self.settings.dataset / "train_curated"


@pytest.fixture
def reviewed(finished: FinishedRun, tmp_path: Path) -> Reviewed:
    settings = finished.copy(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Reviewed(served(settings, scratch), settings, scratch)
