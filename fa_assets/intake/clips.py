"""The clips of a dataset: every one is decoded and hashed once, before anything expensive is computed from it."""

import logging
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fa_assets.audio.decode import BadClipError, ClipInfo, inspect_clip
from fa_assets.errors import BadInputError
from fa_assets.intake.clip_files import locate_clip
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips
from fa_assets.intake.names import NameIndex, differences, hint, is_audio, listed
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.source_files import USUAL_LIMITS, Limits, SourceFileError, files_below

log = logging.getLogger(__name__)

_WAY_OUT = "Fix or remove them, or set FA_ON_BAD_CLIP=skip to leave them out."
_BROKEN = "Fetch or copy again what is truncated or damaged; `ffmpeg -i FILE NEW.flac` keeps what still decodes. "
_LOOSE = "Rename them, or set FA_MATCH_NAMES=loose."


@dataclass(frozen=True)
class InspectedClip:
    """One readable clip: its name, its labels and what its file holds."""

    fname: str
    labels: tuple[str, ...]
    info: ClipInfo
    group: str | None = None


@dataclass(frozen=True)
class BadClip:
    """One clip that was left out, and why."""

    fname: str
    reason: str


@dataclass(frozen=True)
class Intake:
    """The clips of a dataset in the order of the label CSV, and those left out."""

    clips: tuple[InspectedClip, ...]
    bad: tuple[BadClip, ...]


def inspect_clips(
    folder: Path,
    labelled: LabelledClips,
    *,
    on_bad_clip: Literal["fail", "skip"] = "fail",
    threads: int = 2,
    limits: Limits = USUAL_LIMITS,
    progress: ProgressCallback = no_progress,
    way_out: str = _WAY_OUT,
    may_be_silent: bool = False,
    with_landmarks: bool = False,
) -> Intake:
    """Decode every clip and hash its bytes.

    Args:
        folder: where the clips lie.
        on_bad_clip: ``fail`` refuses the set, naming every bad clip; ``skip`` leaves bad clips out and lists them.
        threads: how many clips are decoded at once.
        limits: how large a clip may be, and whether it may be a link.
        progress: called with (clips done, clips in all).
        way_out: what to do about bad clips, a sentence for the error.
        may_be_silent, with_landmarks: as of `inspect_clip`.

    Raises:
        BadInputError: bad clips under ``fail``, or no clip that is good.
    """
    base = Path(os.path.realpath(folder))
    clips: list[InspectedClip] = []
    bad: list[BadClip] = []
    inspect = partial(_inspect, base=base, limits=limits, may_be_silent=may_be_silent, with_landmarks=with_landmarks)
    groups = labelled.groups or (None,) * len(labelled.fnames)
    with ThreadPoolExecutor(threads, thread_name_prefix="inspect") as pool:
        results = pool.map(inspect, labelled.fnames)
        try:
            for done, (fname, labels, group, result) in enumerate(
                zip(labelled.fnames, labelled.labels, groups, results, strict=True), start=1
            ):
                if isinstance(result, BadClip):
                    bad.append(result)
                else:
                    clips.append(InspectedClip(fname, labels, result, group or None))
                progress(done, len(labelled.fnames))
        except BaseException:  # an interrupt does not wait for the clips that are left
            pool.shutdown(cancel_futures=True)
            raise

    bad, hints = _with_hints(folder, labelled.fnames, bad)
    if bad and on_bad_clip == "fail":
        raise _unusable(folder, labelled.fnames, bad, hints + way_out)
    if not clips:
        raise BadInputError(f"No clip in {folder} can be used. {hints}".strip(), _named(bad))
    return Intake(tuple(clips), tuple(bad))


def require_clips(folder: Path, fnames: Sequence[str]) -> None:
    """Refuse clips that are not there, as `inspect_clips` does, before any is read."""
    missing = [BadClip(fname, "no such file") for fname in fnames if not os.path.lexists(folder / fname)]
    if missing:
        missing, hints = _with_hints(folder, fnames, missing)
        raise _unusable(folder, fnames, missing, hints + _WAY_OUT)


def _unusable(folder: Path, fnames: Sequence[str], bad: Sequence[BadClip], way_out: str) -> BadInputError:
    return BadInputError(f"{len(bad)} of {len(fnames)} clips in {folder} cannot be used. {way_out}", _named(bad))


def _named(bad: Sequence[BadClip]) -> list[str]:
    return [f"{clip.fname!r}: {clip.reason}" for clip in bad]


def _inspect(fname: str, *, base: Path, limits: Limits, **options: bool) -> ClipInfo | BadClip:
    try:
        return inspect_clip(locate_clip(base, fname, limits), **options)
    except SourceFileError as error:
        return BadClip(fname, error.reason)
    except BadClipError as error:
        return BadClip(fname, str(error))


def unnamed_clips(dataset: KaggleDataset, labelled: LabelledClips) -> list[str]:
    """The audio files in the folder of clips that have no row, by their names.

    Raises:
        BadInputError: the folder cannot be read as a whole, or holds too many files.
    """
    own = dataset.clips_folder.resolve()
    found = [name for name in files_below(own, dataset.limits) if is_audio(name)]
    if (test := dataset.test_folder.resolve()).is_relative_to(own):  # links that `fa-assets init` makes
        found = [name for name in found if not name.startswith(f"{test.relative_to(own).as_posix()}/")]
    return sorted({*found} - {*labelled.fnames})


def folders_not_read(dataset: KaggleDataset) -> list[str]:
    """The folders of the dataset with audio that belongs neither to the clips nor to `test/`, itself too, and how many it is.

    Raises:
        BadInputError: as `unnamed_clips`.
    """
    own = [folder.resolve() for folder in (dataset.clips_folder, dataset.test_folder)]
    found: Counter[str] = Counter()
    beside = [] if dataset.root.resolve() in own else [path for path in dataset.root.iterdir() if is_audio(path.name)]
    found["."] = sum(path.is_file() for path in beside)
    for folder in sorted(dataset.root.iterdir()):
        place = folder.resolve()
        is_known = any(one.is_relative_to(place) or place.is_relative_to(one) for one in own)
        if place.is_dir() and folder.name[0] != "." and not is_known:
            found[folder.name] = sum(map(is_audio, files_below(folder, dataset.limits)))
    return [f"{name}/ ({count})" for name, count in found.items() if count]


def _with_hints(folder: Path, fnames: Sequence[str], bad: list[BadClip]) -> tuple[list[BadClip], str]:
    """Bad clips with what lies there instead of those that do not, and the way out where anything does.

    Raises:
        BadInputError: no clip at all lies there, for one reason.
    """
    missing = {clip.fname for clip in bad if not os.path.lexists(folder / clip.fname)}
    try:
        index = NameIndex(files_below(folder.resolve()) if missing and folder.is_dir() else ())
    except BadInputError:  # of what is not asked for here
        return bad, ""
    if len(missing) == len(fnames) > 1 and (said := _none_is_there(folder, fnames, index)):
        raise BadInputError(said)
    broken = _BROKEN if any(one.reason.startswith("truncated") for one in bad) else ""
    hinted = [BadClip(one.fname, one.reason + hint(index, one.fname)) if one.fname in missing else one for one in bad]
    can_match = any(len(index.find(name)) == 1 for name in missing)
    return hinted, broken + (f"{_LOOSE} " if can_match else "")


def _elsewhere(folder: Path, fnames: Sequence[str]) -> str:
    """The folder beside that of the clips that holds most of them, and the command that makes it that folder."""
    wanted, found = {*fnames}, Counter[str]()
    with suppress(BadInputError):
        for name in files_below(folder.parent):
            parts = name.split("/")
            found.update("/".join(parts[:at]) or "." for at in range(len(parts)) if "/".join(parts[at:]) in wanted)
    if not found:
        return ""
    ((own, count),) = found.most_common(1)
    command = shlex.join(["ln", "-s", own, str(folder)])
    return f" {count} of the {len(fnames)} lie in {own!r}: `{command}` takes that folder for it."


def _none_is_there(folder: Path, fnames: Sequence[str], index: NameIndex) -> str | None:
    """Why no clip at all lies in the folder, where that is one reason; None where there are several."""
    if not folder.is_dir():
        lacks = "leads to no folder, take it away" if os.path.lexists(folder) else "is missing"
        return f"{folder} {lacks}: that is where the clips that the table names belong.{_elsewhere(folder, fnames)}"
    found = [index.find(fname) for fname in fnames]
    if not any(found):
        there = f"which holds {listed(sorted(index.names))}" if index.names else "which is empty"
        return (
            f"None of the {len(fnames)} clips that the table names, as {fnames[0]!r}, lies in {folder}, {there}. "
            f"Correct the names, or the folder{hint(index, fnames[0])}."
        )
    reasons = {
        tuple(differences(fname, one)) for fname, others in zip(fnames, found, strict=True) for one in others[:1]
    }
    if len(reasons) > 1 or any(len(others) != 1 for others in found):
        return None
    what = " and ".join(reasons.pop())
    return (
        f"None of the {len(fnames)} clips lies in {folder} under its name. They differ by {what}, as {fnames[0]!r} in the "
        f"table and {found[0][0]!r} in the folder. {_LOOSE}"
    )
