"""What the UI says of every asset: whose it is, and where its code stands, by file and line.

On the repository's web page where the checkout has a remote there, else in the checkout itself.
"""

import inspect
import subprocess
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import dagster as dg

OWNERS = ["team:audio"]
"""Who is asked when an asset fails; put your own team or an e-mail address here."""

_CHECKOUT = Path(__file__).parents[2]
_HOSTS_WITH_PAGES = ("github.com", "gitlab.com")


def code_references(function: Callable[..., Any]) -> dg.CodeReferencesMetadataValue:
    """Where a function stands."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are beta
        place = dg.LocalFileCodeReference(
            file_path=inspect.getfile(function), line_number=function.__code__.co_firstlineno
        )
        return dg.CodeReferencesMetadataValue(code_references=[place])


def with_pages(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets, their code references led to the repository's web page where it has one."""
    page = repository_page(_CHECKOUT)
    if page is None:
        return list(assets)
    here = dg.AnchorBasedFilePathMapping(Path(__file__), Path(__file__).relative_to(_CHECKOUT).as_posix())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return cast(list[dg.AssetsDefinition], dg.link_code_references_to_git(assets, *page, here))


def repository_page(checkout: Path) -> tuple[str, str] | None:
    """The web address of the checkout's repository and the commit it is at, where its remote shows files on the web.

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
    if parts.hostname not in _HOSTS_WITH_PAGES:
        return None
    return f"https://{parts.hostname}{parts.path.removesuffix('.git')}", commit


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
