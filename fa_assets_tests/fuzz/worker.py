"""The process that is fuzzed: the real intake over one folder of cases, one JSON line per case as soon as it is judged.

    python -m fa_assets_tests.fuzz.worker sounds|tables FOLDER MEGABYTES [SKIP]

Its address space is limited to that many megabytes, so that memory which grows without bound ends in an error here. A
case is `accepted`, `refused` (by name, with a reason) or `wrong`: anything else that was raised, a refusal that does not
say what it refuses, or an accepted case that does not hold what the intake said.
"""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from fa_assets.audio.decode import BadClipError, load_mono, resampled_length
from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.clip_files import clip_paths
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_classes, read_given_folds, read_labels
from fa_assets.intake.recordings import scan_recordings
from fa_assets.store.source_files import Limits

N_FOLDS = 5
LOADED_S = 1800
"""Seconds of the longest clip that is decoded whole after the intake, which takes 256 KB for each."""


class WrongError(Exception):
    """The intake broke a promise."""


def judge_sound(dataset: KaggleDataset, fname: str) -> str | None:
    """Take one clip in and decode it; the reason when it is refused, None when it is accepted."""
    try:
        (clip,) = inspect_clips(dataset.clips_folder, LabelledClips((fname,), (("Bark",),))).clips
    except BadInputError as error:
        (offender,) = error.offenders
        name, _, reason = offender.partition(": ")
        if name != repr(fname) or not reason.strip():
            raise WrongError(f"refused as {offender!r}") from error
        return reason
    info = clip.info
    if not (info.frames > 0 and info.channels > 0 and info.seconds == info.frames / info.sample_rate):
        raise WrongError(f"accepted with {info}")
    if info.seconds > LOADED_S:
        return None
    try:
        samples = load_mono(dataset.clips_folder / fname, 32_000)
    except BadClipError as error:
        raise WrongError(f"accepted, then refused: {error}") from error
    if samples.shape != (resampled_length(info.frames, info.sample_rate, 32_000),) or samples.dtype != "float32":
        raise WrongError(f"accepted with {info}, then {samples.dtype} {samples.shape}")
    return None


def judge_tables(dataset: KaggleDataset) -> str | None:
    """Take the tables in, and what they name; the reason when they are refused, None when they are accepted."""
    is_odd = int("0" + "".join(filter(str.isdigit, dataset.root.name))) % 2
    limits = Limits(follow_links=False)
    dataset = KaggleDataset(dataset.root, limits=limits, match_names="loose" if is_odd else "exact")
    try:
        labelled = read_labels(dataset)
        classes = read_classes(dataset, labelled)
        folds = read_given_folds(dataset, labelled.fnames, N_FOLDS)
        scan_recordings(dataset, dataset.root / "memory.json")
        intake = inspect_clips(dataset.clips_folder, labelled, on_bad_clip="skip", limits=limits)
    except UserError as error:
        if str(dataset.root) not in str(error):
            raise WrongError(f"refused without a name: {error}") from error
        return str(error)
    inside = dataset.clips_folder.resolve()
    for path in clip_paths(dataset.clips_folder, [clip.fname for clip in intake.clips]):
        if not path.resolve().is_relative_to(inside):
            raise WrongError(f"{path} was read")
    if len(set(labelled.fnames)) < len(labelled.fnames) or len(set(classes)) < len(classes):
        raise WrongError("accepted with names twice")
    if any(not own or not set(own) <= set(classes) for own in labelled.labels):
        raise WrongError("accepted with labels that are not classes")
    if folds is not None and sorted(set(folds.tolist())) != list(range(N_FOLDS)):
        raise WrongError(f"accepted with folds {folds}")
    return None


def _judge(name: str, judgement: Callable[[], str | None]) -> str:
    """Say how a case was judged, in a line; returns the verdict."""
    started = time.perf_counter()
    try:
        reason = judgement()
        verdict = "accepted" if reason is None else "refused"
    except BaseException:
        verdict, reason = "wrong", traceback.format_exc()
    line = {
        "name": name,
        "verdict": verdict,
        "reason": (reason or "")[:4000],
        "seconds": time.perf_counter() - started,
        "peak_mb": _peak_mb(),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return verdict


def _peak_mb() -> float:
    """The most memory that this process ever had resident."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _sounds(dataset: KaggleDataset, skip: int) -> None:
    labelled = read_labels(dataset)
    accepted = {
        fname
        for fname in labelled.fnames[skip:]
        if _judge(fname, lambda fname=fname: judge_sound(dataset, fname)) == "accepted"  # type: ignore[misc]
    }
    _judge("all at once", lambda: _together(dataset, labelled.fnames[skip:], accepted))


def _together(dataset: KaggleDataset, fnames: Iterable[str], accepted: set[str]) -> None:
    """The same clips in several threads are judged the same."""
    labelled = LabelledClips(tuple(fnames), tuple(("Bark",) for _ in fnames))
    try:
        clips = inspect_clips(dataset.clips_folder, labelled, on_bad_clip="skip", threads=4).clips
    except BadInputError:
        clips = ()
    if {clip.fname for clip in clips} != accepted:
        raise WrongError(f"in threads: {sorted({clip.fname for clip in clips} ^ accepted)}")


def main(kind: str, folder: str, megabytes: str, skip: str = "0") -> None:
    limit = int(megabytes) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if kind == "sounds":
        _sounds(KaggleDataset(Path(folder)), int(skip))
        return
    for case in sorted(Path(folder).iterdir())[int(skip) :]:
        _judge(case.name, lambda case=case: judge_tables(KaggleDataset(case)))  # type: ignore[misc]


if __name__ == "__main__":
    main(*sys.argv[1:])
