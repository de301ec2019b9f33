"""Labels and groups from the paths of clips: which level of folders names the classes, and what belongs into one fold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fa_assets.errors import UserError
from fa_assets.intake.class_in_names import hint_at_names
from fa_assets.intake.names import SHARE, listed

_NO_CLASS = re.compile(
    rf"((audio|clips|data)[ _-])?{SHARE.pattern}|audio|wavs?|clips|sounds?|recordings|data|dataset|(fold|split|part)[ _-]?\d+",
    re.IGNORECASE,
)
"""Folders that hold a share of a dataset or all of it, and no class."""
_NO_SOUND = re.compile(
    r"(actor|speaker|spk|subject|participant|person|patient|user|singer|bird|animal|site|station|id|s|p)[ _-]?\d+|\d[\d._-]*",
    re.IGNORECASE,
)
"""Folders of one person, animal or place each, or only numbered."""
_BY_TIME = re.compile(r"(?:.*/)?(?:([^/]+?)_)?\d{8}_\d{6}T?(?:[_-][\d.]+)*\.\w+")
"""How an AudioMoth and other recorders name files: the place or the recorder, where they say it, and the time; and parts of
such files, with their seconds behind it."""

_FEWEST_GROUPS = 5
"""As there are folds, each of which needs one."""
_FOLD = re.compile(r"fold[ _-]?\d+", re.IGNORECASE)
_SPEAKER = re.compile(r"([0-9a-f]{8})_nohash_\d+")
"""File names of Speech Commands, which begin with the speaker."""


@dataclass(frozen=True)
class ByFolder:
    """Labels from folders: rows of (fname, labels), the level (from 1) that was taken, and notes."""

    rows: Sequence[tuple[str, tuple[str, ...]]]
    level: int
    notes: list[str]

    @property
    def are_sounds(self) -> bool:
        """Whether they look like classes, rather than speakers, sites or numbers."""
        return not all(_NO_SOUND.fullmatch(own[0]) for _, own in self.rows)


def test_folder_of(names: Sequence[str]) -> str:
    """The folder of the test clips among these paths: `test`, or what is called so beside a folder of training clips."""
    folders = {name.split("/")[0] for name in names if "/" in name}
    shares = {name: found for name in sorted(folders) if (found := SHARE.fullmatch(name))}
    is_beside = any(found["train"] for found in shares.values())
    named = [name for name, found in shares.items() if found["test"] and (is_beside or name.lower() == "test")]
    return "test" if "test" in folders or not named else named[0]


def _site_of(fname: str) -> str | None:
    """Where a clip was recorded that is named by its time: what stands before the time, or else the folder."""
    found = _BY_TIME.fullmatch(fname)
    return found and (found[1] or fname.rpartition("/")[0].rpartition("/")[2] or None)


def labels_by_folder(audio: Sequence[str], level: int | None = None) -> ByFolder:
    """The folder at one level of each clip's path as its class.

    Without a level the first one is taken that has several folders which are not named as shares of a dataset are.

    Raises:
        UserError: no clip lies so deep, or only in such shares.
    """
    folders = {name: name.split("/")[:-1] for name in audio}
    chosen = level or _class_level(list(folders.values()))
    rows = [(name, (parts[chosen - 1],)) for name, parts in folders.items() if len(parts) >= chosen]
    above = sorted({"/".join(parts[: chosen - 1]) for parts in folders.values() if len(parts) >= chosen > 1})
    notes = (
        [f"classes are the folders of level {chosen}, of all of {listed(above)}; --level N takes another"]
        if above
        else []
    )
    if aside := sorted({own[0] for _, own in rows if own[0].startswith("_")}):
        notes.append(f"no class, since the name begins with '_': {listed(aside)}")
        rows = [(name, own) for name, own in rows if own[0] not in aside]
    if level and not rows:
        raise UserError(f"No clip lies in a folder of level {level}; the deepest is {max(map(len, folders.values()))}.")
    by_time = all(_BY_TIME.fullmatch(name) for name in audio)
    classes = sorted({own[0] for _, own in rows})
    shares = [name for name in classes if is_share(name)]
    if level is None and (len(classes) < 2 or shares == classes):
        one = f" (all in {classes[0]!r}, which --level {chosen} takes as the one class)" if len(classes) == 1 else ""
        raise UserError(
            ("The clips are named by their time, as recorders name them, and" if by_time else "The clips")
            + f" lie in no class folders{one}, and no table or annotation beside them says what they are: sort them into a "
            "folder for each class, give the labels with --csv FILE, or put Raven selection tables or Audacity labels beside "
            f"them.{'' if by_time else hint_at_names(audio)}"
        )
    if shares and level is None:
        notes.append(f"{listed(shares)} may be a share of the dataset, rather than a class, by its name")
    if all(map(_NO_SOUND.fullmatch, classes)):
        notes.append(
            f"the folders' names, as {classes[0]!r}, look like speakers, sites or numbers rather than classes: if so, give the "
            f"labels with --csv.{hint_at_names(audio)}"
        )
    if by_time:
        notes.append(
            "clips are named by their time, as recorders name them: if the folders are places, give labels with --csv"
        )
    notes += _repeated_below(folders.values(), chosen)
    return ByFolder(rows, chosen, notes)


def _class_level(folders: Sequence[Sequence[str]]) -> int:
    level = 1
    while all(len(parts) > level for parts in folders):
        here = {parts[level - 1] for parts in folders}
        if len(here) > 1 and not all(map(is_share, here)):
            break
        level += 1
    return level


def is_share(name: str) -> bool:
    """Whether a name is one of a share of a dataset, or of all of it."""
    return (_NO_CLASS.fullmatch(name) or SHARE.search(name)) is not None


def _repeated_below(folders: Iterable[Sequence[str]], level: int) -> list[str]:
    """A note where the folders of the next level have the same names in each folder of this one."""
    below: dict[str, set[str]] = {}
    for parts in folders:
        if len(parts) > level:
            below.setdefault(parts[level - 1], set()).add(parts[level])
    names = list(below.values())
    if len(names) < 2 or len(names[0]) < 2 or any(one != names[0] for one in names) or all(map(is_share, names[0])):
        return []
    return [
        f"the folders below repeat in each of them ({listed(sorted(names[0]))}): --level {level + 1} takes those as classes"
    ]


def groups_of(
    given: Mapping[str, str], fnames: Iterable[str], level: int | None
) -> tuple[Mapping[str, str], list[str]]:
    """The groups of the clips: those given, or what their paths and names say, where that is not a class; and notes."""
    groups = dict(given)
    for fname in fnames if not given else ():
        path = PurePosixPath(fname)
        fold = next((part for part in path.parts[:-1] if _FOLD.fullmatch(part)), None)
        speaker = _SPEAKER.fullmatch(path.stem)
        site = _site_of(fname)
        if group := fold or (speaker and speaker[1]) or (site if level is None or site not in path.parts else None):
            groups[fname] = group
    names = sorted(set(groups.values()))
    if not names:
        return {}, []
    if len(names) < _FEWEST_GROUPS:
        return {}, [f"{len(names)} groups are too few for {_FEWEST_GROUPS} folds and are left out: {listed(names)}"]
    return groups, [f"{len(names)} groups, each of which stays in one fold: {listed(names)}"]
