"""axe-core, which judges the accessibility of a page: fetched from npm when a test asks for it, and never committed."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fa_assets_tests.finished_run import made_once

if TYPE_CHECKING:
    from playwright.sync_api import Page

VERSION = "4.10.2"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def axe() -> str:
    """The script; the test is skipped where npm does not give it."""

    def fetch(folder: Path) -> None:
        folder.mkdir(parents=True)
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed: no axe-core")
        command = ["npm", "pack", "--prefer-offline", "--silent", f"axe-core@{VERSION}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm does not give axe-core {VERSION}: {done.stderr.strip()[-200:]}")
        with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as archive:
            archive.extract("package/axe.min.js", folder, filter="data")

    return (made_once(f"axe-core-{VERSION}", fetch) / "package" / "axe.min.js").read_text(encoding="utf-8")


def serious_findings(page: "Page", script: str, rules: Sequence[str] = RULES) -> list[str]:
    """What axe-core calls serious or critical on the page as it is, by rules or sets of rules."""
    page.evaluate(script)
    found = page.evaluate(f"axe.run(document, {{runOnly: {json.dumps(rules)}}}).then(result => result.violations)")
    return [
        f"{one['id']} ({len(one['nodes'])} times): {one['nodes'][0]['html'][:200]}: {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
