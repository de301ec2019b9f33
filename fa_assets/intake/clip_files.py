"""Where the clips of a folder lie: no name and, where that is set, no link leads out of it, and no clip is too large."""

import os
from collections.abc import Sequence
from pathlib import Path

from fa_assets.errors import BadClipError, BadInputError
from fa_assets.store.source_files import USUAL_LIMITS, Limits, SourceFileError, find


def locate_clip(folder: Path, fname: str, limits: Limits = USUAL_LIMITS) -> Path:
    """Where a clip lies, whether or not it is there; `fname` as checked by `read_labels`.

    The folder, given resolved, may itself be a link, made by the dataset's author; so may a clip, where `limits` says so.

    Raises:
        BadClipError: a link that leads out of the folder where none may, in a circle or to nothing; what cannot be looked at; a
            clip that is too large.
    """
    path = folder / fname
    if not limits.follow_links and not Path(os.path.realpath(path)).is_relative_to(folder):
        raise BadClipError("a link that leads out of the folder of clips; FA_LINKS=follow reads what it leads to")
    try:
        found = find(path)
    except SourceFileError as error:
        raise BadClipError(error.reason) from error
    if found is not None and found.st_size > limits.clip_bytes:
        raise BadClipError(
            f"{found.st_size / 1e9:.3g} GB; up to {limits.clip_bytes / 1e9:g} are read (FA_MAX_CLIP_GB): cut it into pieces"
        )
    return path


def clip_paths(folder: Path, fnames: Sequence[str], limits: Limits = USUAL_LIMITS) -> list[Path]:
    """Where the clips of a folder lie; `fnames` as checked by `read_labels` or `read_submission_clips`.

    Raises:
        BadInputError: clips that `locate_clip` refuses, all of them named.
    """
    base = Path(os.path.realpath(folder))
    paths: list[Path] = []
    offenders: list[str] = []
    for fname in fnames:
        try:
            paths.append(locate_clip(base, fname, limits))
        except BadClipError as error:
            offenders.append(f"{fname}: {error}")
    if offenders:
        raise BadInputError(f"Clips in {folder} that cannot be read; fix or remove them.", offenders)
    return paths
