import re
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from fa_assets.web.addresses import REVIEW


@pytest.mark.parametrize("path", ["/reports", "/reports/none.html", "/pages/page.css", "/pages/none"])
def test_pages_run_nothing_but_their_own_files(empty: TestClient, path: str) -> None:
    answer = empty.get(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_templates_have_no_script_or_style_inside_and_name_no_other_server() -> None:
    package = files("fa_assets.web")
    for template in (package / "templates").iterdir():
        text = template.read_text()
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text), template.name
        assert not re.search(r"(?:href|src)=[\"']?(?:https?:)?//", text), template.name
    for file in (package / "static").iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text()), file.name


def test_all_other_addresses_are_dagsters(empty: TestClient) -> None:
    for path in ("/", "/runs", "/assets/label_audit", "/graphql", "/reports/a/b"):
        assert empty.get(path, headers={"accept": "text/html"}).text == "Dagster", path


def test_pages_are_behind_the_guard(empty: TestClient) -> None:
    for path in ("/reports", REVIEW, "/pages/page.css"):
        assert empty.get(path, headers={"host": "evil.example"}).status_code == 403
        assert empty.get(path, headers={"origin": "http://evil.example"}).status_code == 403
