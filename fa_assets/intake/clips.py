"""The clips of a dataset: every one is decoded and hashed once, before anything expensive is computed from it."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fa_assets.audio.decode import BadClipError, ClipInfo, inspect_clip
from fa_assets.errors import BadInputError
from fa_assets.intake.kaggle import LabelledClips, locate_clip
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.source_files import USUAL_LIMITS, Limits, SourceFileError

log = logging.getLogger(__name__)

_WAY_OUT = "Fix or remove them, or set FA_ON_BAD_CLIP=skip to leave them out."


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
) -> Intake:
    """Decode every clip and hash its bytes.

    Args:
        folder: where the clips lie.
        on_bad_clip: ``fail`` refuses the set, naming every bad clip; ``skip`` leaves bad clips out and lists them.
        threads: how many clips are decoded at once.
        limits: how large a clip may be.
        progress: called with (clips done, clips in all).
        way_out: what to do about bad clips, a sentence for the error.

    Raises:
        BadInputError: bad clips under ``fail``, or no clip that is good.
    """
    base = Path(os.path.realpath(folder))
    clips: list[InspectedClip] = []
    bad: list[BadClip] = []

    def inspect(fname: str) -> ClipInfo | BadClip:
        try:
            return inspect_clip(locate_clip(base, fname, limits))
        except SourceFileError as error:
            return BadClip(fname, error.reason)
        except BadClipError as error:
            return BadClip(fname, str(error))

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

    offenders = [f"{clip.fname}: {clip.reason}" for clip in bad]
    if bad and on_bad_clip == "fail":
        raise BadInputError(
            f"{len(bad)} of {len(labelled.fnames)} clips in {folder} cannot be used. {way_out}",
            offenders,
        )
    if not clips:
        raise BadInputError(f"No clip in {folder} can be used.", offenders)
    return Intake(tuple(clips), tuple(bad))
