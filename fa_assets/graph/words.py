"""What the UI says of every asset besides its description: owners, tags, and where its code stands.

Applied once, over the whole graph, so that a new asset has them too. Code references lead to the file and line: on the
repository's web page when the checkout has a remote there, else in the checkout itself.
"""

import subprocess
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
from dagster._core.definitions.metadata.source_code import local_source_path_from_fn, merge_code_references

from fa_assets.audio.crops import SCHEMES

OWNERS = ["team:audio"]
"""Who is asked when an asset fails; put your own team or an e-mail address here."""

_CHECKOUT = Path(__file__).parents[2]
_FORGES = {"github.com": "blob", "gitlab.com": "-/blob"}


def with_words(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets with owners, tags and code references; what an asset says itself is kept."""
    base = repository_url(_CHECKOUT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)  # code references are beta
        return [asset.map_asset_specs(partial(_described, asset, base)) for asset in assets]


def _described(asset: dg.AssetsDefinition, base: str | None, spec: dg.AssetSpec) -> dg.AssetSpec:
    name = spec.key.to_user_string()
    tags = {"stage": spec.group_name or "", "domain": "audio-tagging"}
    scheme = next((scheme for scheme in SCHEMES if scheme in name.split("_")), None)
    if scheme is not None:
        tags["crop_scheme"] = scheme
    spec = spec.replace_attributes(owners=spec.owners or OWNERS, tags={**tags, **spec.tags})
    place = local_source_path_from_fn(asset.op.compute_fn.decorated_fn)  # type: ignore[union-attr]
    if place is None:
        return spec
    reference: dg.LocalFileCodeReference | dg.UrlCodeReference = place
    path = Path(place.file_path)
    if base is not None and path.is_relative_to(_CHECKOUT):
        reference = dg.UrlCodeReference(url=f"{base}/{path.relative_to(_CHECKOUT).as_posix()}#L{place.line_number}")
    return merge_code_references(spec, [reference])


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
