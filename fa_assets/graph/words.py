"""What the UI says of every asset besides its description: owners, tags, and where its code stands.

Applied once, over the whole graph, so that a new asset has them too. Code references lead to the file and line: on the
repository's web page when the checkout has a remote there, else in the checkout itself.
"""

import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import dagster as dg

from fa_assets.audio.crops import SCHEMES

OWNERS = ["team:audio"]
"""Who is asked when an asset fails; put your own team or an e-mail address here."""

_CHECKOUT = Path(__file__).parents[2]
_HOSTS_WITH_PAGES = ("github.com", "gitlab.com")


def with_words(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets with owners, tags and code references; what an asset says itself is kept."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)  # code references are beta
        described = dg.with_source_code_references([asset.map_asset_specs(_described) for asset in assets])
        page = repository_page(_CHECKOUT)
        if page is not None:
            url, commit = page
            here = dg.AnchorBasedFilePathMapping(Path(__file__), Path(__file__).relative_to(_CHECKOUT).as_posix())
            described = dg.link_code_references_to_git(described, url, commit, here)
    return cast(list[dg.AssetsDefinition], described)


def _described(spec: dg.AssetSpec) -> dg.AssetSpec:
    tags = {"stage": spec.group_name or "", "domain": "audio-tagging"}
    scheme = next((scheme for scheme in SCHEMES if scheme in spec.key.to_user_string().split("_")), None)
    if scheme is not None:
        tags["crop_scheme"] = scheme
    return spec.replace_attributes(owners=spec.owners or OWNERS, tags={**tags, **spec.tags})


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
