"""The environment that is recorded: versions without imports, and only this package's own checkout."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from fa_assets.catalog.environment import LIBRARIES, checkout_state, collect_environment, library_versions

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_versions_are_those_of_the_installed_distributions() -> None:
    environment = collect_environment()
    installed = {found.name: found.version for found in metadata.distributions()}
    assert installed["fa_assets"] and installed["torch"]
    for name in LIBRARIES:
        assert environment[name] == installed.get(name), name  # None for the extras that are not there
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert library_versions() == {name: environment[name] for name in ("python", *LIBRARIES)}
    assert isinstance(environment["usable_cpus"], int) and environment["usable_cpus"] >= 1


def test_what_is_returned_is_the_callers_own() -> None:
    collect_environment()["python"] = "changed"
    assert collect_environment()["python"] != "changed"
    assert collect_environment()["device"] is None


@pytest.mark.slow
def test_collecting_imports_no_library() -> None:
    code = (
        "import sys; from fa_assets.catalog.environment import collect_environment; collect_environment()\n"
        "print([name for name in ('torch', 'librosa', 'sklearn', 'scipy', 'dagster', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_clean_checkout_gives_its_commit(checkout: Path) -> None:
    (checkout / "ignored").write_text("data")
    assert checkout_state(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_changed_and_new_files_make_it_dirty(name: str, checkout: Path) -> None:
    (checkout / name).write_text("2\n")
    assert checkout_state(checkout) == (git(checkout, "rev-parse", "HEAD"), True)


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert checkout_state(tmp_path) == (None, False)


def test_another_projects_repository_is_not_taken_for_ours(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = checkout / "site-packages"
    inside.mkdir()
    assert checkout_state(inside) == (None, None)
    (inside / ".git").mkdir()  # broken: git would look further up
    assert checkout_state(inside) == (None, None)
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))  # as in a git hook
    assert checkout_state(inside) == (None, None)


def test_no_git_is_no_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert checkout_state(checkout) == (None, None)
