"""What the guard before Dagster's webserver lets in, request by request; test_browser has a page of another origin try."""

import asyncio
from pathlib import Path
from typing import Any

import click
import pytest
from dagster_webserver import cli

from fa_assets.cli.webserver import Guard, main

HERE = {"host": "127.0.0.1:3000"}
OWN = {**HERE, "origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin", "content-type": "application/json"}
FOREIGN = {**OWN, "origin": "http://evil.example", "sec-fetch-site": "cross-site"}
LINK = {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
PAGE = {"accept": "text/html,*/*"}


def ask(kind: str, path: str, headers: list[tuple[str, str]]) -> int:
    """The status of the answer; 200 where Dagster would be asked."""
    sent: list[Any] = []

    async def dagster(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket" if kind == "websocket" else "http",
        "method": kind,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(Guard(dagster, ["", " ui.example.org"])(scope, None, send))  # type: ignore[arg-type]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("kind", "path", "headers"),
    [
        ("GET", "/runs", {"host": "localhost:3000", "sec-fetch-site": "none"}),
        ("GET", "/runs", {"host": "[::1]:3000"}),
        ("GET", "/runs", {"host": "127.0.0.1"}),
        ("GET", "/runs", {"host": "UI.example.org", "origin": "https://ui.example.org"}),
        ("GET", "/runs", LINK),
        ("GET", "/graphql", {**HERE, **PAGE}),
        ("POST", "/graphql", OWN),
        ("POST", "/graphql", {**OWN, "content-type": "Application/JSON; charset=utf-8"}),
        ("POST", "/graphql", {**HERE, "content-type": "application/json"}),
        ("websocket", "/graphql", {**HERE, "origin": "http://127.0.0.1:3000"}),
        ("websocket", "/graphql", HERE),
    ],
)
def test_let_in(kind: str, path: str, headers: dict[str, str]) -> None:
    assert ask(kind, path, list(headers.items())) == 200


@pytest.mark.parametrize(
    ("kind", "path", "headers"),
    [
        *[(kind, "/graphql", {**OWN, "host": "evil.example"}) for kind in ("GET", "POST", "websocket")],
        ("GET", "/runs", {"host": "evil.example"}),
        ("GET", "/runs", {"host": "127.0.0.1.evil.example"}),
        ("GET", "/runs", {"host": "localhost.evil.example:3000"}),
        ("GET", "/runs", {"host": "not-ui.example.org"}),
        ("GET", "/runs", {"host": ""}),
        ("GET", "/runs", {}),
        *[(kind, "/graphql", FOREIGN) for kind in ("GET", "POST", "websocket", "PUT")],
        *[
            (kind, "/graphql", {**OWN, "origin": origin})
            for kind in ("POST", "websocket")
            for origin in (
                "null",
                "http://127.0.0.1:3001",
                "http://localhost:3000",
                "http://127.0.0.1",
                "http://[",
                "http://127.0.0.1:3000@evil.example",
            )
        ],
        ("POST", "/graphql", {**OWN, "sec-fetch-site": "same-site"}),
        *[
            ("POST", "/graphql", {**HERE, "content-type": kind})
            for kind in (
                "",
                "text/plain",
                "application/graphql",
                "text/plain; application/json",
                "application/x-www-form-urlencoded",
            )
        ],
        *[(kind, "/graphql", HERE) for kind in ("GET", "HEAD", "PUT", "DELETE", "PATCH")],
        ("GET", "/graphql/", HERE),
        ("GET", "/graphql", {**LINK, **PAGE}),
        ("GET", "/runs", {**LINK, "sec-fetch-dest": "iframe"}),
        (
            "GET",
            "/logs/a.out",
            {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        ),
        ("POST", "/runs", LINK),
        ("POST", "/report_asset_materialization/folds", {**OWN, "content-type": "text/plain"}),
        ("POST", "/report_asset_materialization/folds", FOREIGN),
    ],
)
def test_refused(kind: str, path: str, headers: dict[str, str]) -> None:
    assert ask(kind, path, list(headers.items())) == 403


def test_two_hosts_are_none() -> None:
    assert ask("GET", "/runs", [("host", "127.0.0.1"), ("host", "evil.example")]) == 403


def test_a_path_before_all_pages_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cli, "main", lambda: cli.create_app_from_workspace_process_context(None, "/audio"))
    monkeypatch.setattr(
        cli, "create_app_from_workspace_process_context", None
    )  # what `main` puts there goes with the test
    monkeypatch.setenv("FA_STORAGE", str(tmp_path))
    with pytest.raises(click.UsageError, match="--path-prefix: .*FA_UI_HOSTS"):
        main()
