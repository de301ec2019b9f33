"""What the UI says of every asset: whose it is, and where its code stands, by file and line."""

import inspect
import subprocess
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

OWNERS = ["team:audio"]
"""Who is asked when an asset fails; put your own team or an e-mail address here."""

_CHECKOUT = Path(__file__).parents[2]
_FORGES = {"github.com": "blob", "gitlab.com": "-/blob"}


def code_references(function: Callable[..., Any]) -> dg.CodeReferencesMetadataValue:
    """Where a function stands: on the repository's web page where the checkout has a remote there, else in the file."""
    path, line = Path(inspect.getfile(function)), function.__code__.co_firstlineno
    base = _base()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are beta
        reference: dg.LocalFileCodeReference | dg.UrlCodeReference
        if base is not None and path.is_relative_to(_CHECKOUT):
            reference = dg.UrlCodeReference(url=f"{base}/{path.relative_to(_CHECKOUT).as_posix()}#L{line}")
        else:
            reference = dg.LocalFileCodeReference(file_path=str(path), line_number=line)
        return dg.CodeReferencesMetadataValue(code_references=[reference])


@cache
def _base() -> str | None:
    return repository_url(_CHECKOUT)


def repository_url(checkout: Path) -> str | None:
    """The web address under which the checkout's files are seen at its commit, where its remote has such pages.

    A name and password in the remote's address are left out. None without git, without a remote, or for another host.
    """
    if not (checkout / ".git").exists():
        return None
    try:
        remote = _git(checkout, "remote", "get-url", "origin")
        commit = _git(checkout, "rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None
    if "://" not in remote:  # git@host:owner/name.git
        remote = "ssh://" + remote.replace(":", "/", 1)
    parts = urlsplit(remote)
    if parts.hostname not in _FORGES:
        return None
    return f"https://{parts.hostname}{parts.path.removesuffix('.git')}/{_FORGES[parts.hostname]}/{commit}"


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
