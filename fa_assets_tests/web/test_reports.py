import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fa_assets.settings import Settings
from fa_assets.store.roots import StoragePath
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.web.conftest import Reviewed, served

REPORT = b"<!doctype html><p>0.94</p>"


def with_report(root: StoragePath) -> None:
    (root / "reports").mkdir(parents=True, exist_ok=True)
    (root / "reports" / "one-1.html").write_bytes(REPORT)


def test_a_report_is_served_as_it_was_written_and_may_do_nothing_here(empty: TestClient, tmp_path: Path) -> None:
    with_report(tmp_path / "storage")
    answer = empty.get("/reports/one-1.html")
    assert (answer.status_code, answer.content) == (200, REPORT)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


def test_reports_are_listed_wherever_they_lie(root: StoragePath, tmp_path: Path) -> None:
    client = served(Settings(dataset=tmp_path, storage=str(root), local=tmp_path), tmp_path)
    assert "There is none yet" in client.get("/reports").text
    assert client.get("/reports/one-1.html").status_code == 404
    with_report(root)
    assert 'href="/reports/one-1.html"' in client.get("/reports").text
    assert client.get("/reports/one-1.html").content == REPORT


@pytest.mark.parametrize(
    "name", ["other", "..", "%2e%2e%2fsecret", "..%5csecret", "a%2fb", "%00", ".hidden", "one-1.html%2f..%2fsecret"]
)
def test_what_is_no_report_is_not_served(empty: TestClient, tmp_path: Path, name: str) -> None:
    with_report(tmp_path / "storage")
    (tmp_path / "storage" / "secret.html").write_text("secret")
    (tmp_path / "storage" / "reports" / ".hidden.html").write_text("secret")
    answer = empty.get(f"/reports/{name}.html")
    assert "secret" not in answer.text
    assert answer.status_code == 404 or answer.text == "Dagster"


def test_a_report_is_listed_with_the_lwlrap_of_its_run(reviewed: Reviewed, finished: FinishedRun) -> None:
    listed = reviewed.client.get("/reports").text
    assert re.search(
        rf"run {str(finished.outcome.run_id)[:8]}, LWLRAP center 0\.\d{{4}}, mc5 0\.\d{{4}}, the newest", listed
    )
