"""Datasets that are named by an address, or as a hub has them: what to type to have them here."""

import re
import shlex
from pathlib import Path


def advice_on_name(name: str) -> str:
    """For a folder that is not there, and may be meant as a dataset of a hub; nothing where its name is another path."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or Path(name).parent.exists():
        return ""
    return f" A dataset of that name at Hugging Face: `{_from_hub(name)}`; at Kaggle: `{_from_kaggle(name)}`."


def _from_hub(name: str) -> str:
    return shlex.join(["hf", "download", "--repo-type", "dataset", name, "--local-dir", "data/" + name.split("/")[-1]])


def _from_kaggle(name: str) -> str:
    return shlex.join(["kaggle", "datasets", "download", name, "--unzip", "-p", "data/" + name.split("/")[-1]])


def how_to_download(address: str) -> str | None:
    """What to type to have what lies at an address here; None where it is no address."""
    scheme, _, rest = address.partition("://")
    if not rest or not re.fullmatch(r"[A-Za-z][\w+]+", scheme):
        return None
    scheme, name = scheme.lower(), rest.strip("/").removeprefix("datasets/")
    if scheme == "hf":
        return _from_hub("/".join(name.split("/")[:2]))
    known = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp -r"}
    target = ["data/" + name.split("/")[-1]] if scheme in known else []
    return f"{known.get(scheme, 'curl -LO')} {shlex.join([address, *target])}"
