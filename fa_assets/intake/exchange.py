"""Verdicts on labels from and to other programs: tables, Label Studio, Audacity.

Label Studio (https://labelstud.io): a project for clips with several choices, the labels as they are being chosen already;
what comes back is its export as JSON. Audacity (and Raven): a label track for each clip, which spans the clip; what comes
back is a folder of tracks. Both say what labels a clip has, and verdicts are what differs from those that it has now.
"""

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.annotations import labels_from_files
from fa_assets.intake.columns import Columns
from fa_assets.intake.correcting import known_classes, verdicts_of
from fa_assets.intake.corrections import COLUMNS, Correction, read_verdicts, utc_now
from fa_assets.intake.kaggle import KaggleDataset, read_labels
from fa_assets.intake.tables import read_table
from fa_assets.store.source_files import files_below, read_bytes

TASKS, CONFIG = "tasks.json", "config.xml"
_CHOICES = "labels"


@dataclass(frozen=True)
class Asked:
    """A clip to be listened to: its labels, its length in seconds, and the classes that are doubted."""

    fname: str
    labels: Sequence[str]
    seconds: float
    doubted: Sequence[str] = ()


def verdicts_from_table(dataset: KaggleDataset, path: Path, who: str) -> list[Correction]:
    """The verdicts in a table as label_corrections.csv is, or in a label_audit.csv with a column `verdict`, of which rows
    without one are left out; `who` and the time now where it has none.

    Raises:
        SourceFileError, BadInputError: as `read_verdicts`.
    """
    if path.is_dir():
        raise UserError(
            f"{path} is a folder, and a table of verdicts is wanted: name the file; folders of label tracks are for "
            f"`{shlex.join(['fa-assets', 'labels', 'import', str(path)])}`."
        )
    header = read_table(path, limits=dataset.limits, header_only=True).header
    if "verdict" not in header and "class_name" in header:
        raise BadInputError(
            f"{path} has no column 'verdict': add one, with keep, add, remove or unsure in the rows that you decided, and "
            "nothing in the others."
        )
    of_audit = "class_name" in header and "class" not in header
    columns = tuple("class_name" if name == "class" and of_audit else name for name in COLUMNS)
    found = read_verdicts(path, dataset.limits, columns, may_be_blank=of_audit)
    return [replace(one, who=one.who or who, when=one.when or utc_now()) for one in found]


def write_label_studio(folder: Path, asked: Sequence[Asked], classes: Sequence[str], address: str) -> None:
    """Write the tasks and the labelling interface of a project.

    Args:
        address: what stands before a clip's name in the address that Label Studio fetches it from.
    """
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in classes)
    config = (
        f'<View>\n  <Audio name="audio" value="$audio"/>\n  <Choices name="{_CHOICES}" toName="audio" choice="multiple">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
    tasks = [
        {
            "data": {"audio": address + quote(one.fname), "fname": one.fname, "doubted": list(one.doubted)},
            "predictions": [{"model_version": "labels as they are", "result": [_chosen(one.labels)]}],
        }
        for one in asked
    ]
    _make_empty(folder)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    (folder / TASKS).write_text(json.dumps(tasks, indent=1), encoding="utf-8")


def write_audacity(folder: Path, asked: Sequence[Asked]) -> None:
    """Write a label track for each clip, NAME.txt for NAME.wav; each label spans the clip.

    Raises:
        UserError: two clips would have the same track.
    """
    _make_empty(folder)
    tracks: dict[Path, Asked] = {}
    for one in asked:
        track = folder / PurePosixPath(one.fname).with_suffix(".txt")
        if track in tracks:
            raise UserError(f"{one.fname!r} and {tracks[track].fname!r} would have the same label track, {track.name}.")
        tracks[track] = one
    for track, one in tracks.items():
        track.parent.mkdir(parents=True, exist_ok=True)
        track.write_text("".join(f"0.000000\t{one.seconds:.6f}\t{label}\n" for label in one.labels), encoding="utf-8")


def verdicts_from_others(dataset: KaggleDataset, path: Path, who: str) -> list[Correction]:
    """The verdicts that Label Studio's export (a JSON file) or a folder of label tracks means.

    Raises:
        SourceFileError, BadInputError: it cannot be read, or names clips that there are not.
    """
    if path.suffix.lower() != ".txt" and not path.is_dir():
        return _from_label_studio(dataset, path, who)
    clips = read_labels(dataset)
    base = path if path.is_dir() else path.parent
    files = files_below(path, dataset.limits) if path.is_dir() else {path.name: path}
    columns = Columns(classes=frozenset(known_classes(dataset, clips)), limits=dataset.limits)
    labels: dict[str, Collection[str]] = {}
    offenders = []
    for name, file in files.items():
        found = labels_from_files(base, [file], clips.fnames, columns, explicit=False)
        labels |= found.labels if found else {}
        offenders += [] if found and found.labels and not found.missing else [name]
    if offenders or not files:
        raise BadInputError(
            f"{path}: each file must be a label track, with a label at least, named as a clip is.", offenders
        )
    return verdicts_of(dataset, labels, {}, who, f"label track in {path.name}")


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: name another folder, so that nothing that was edited there is lost.")


def _chosen(labels: Collection[str]) -> Mapping[str, Any]:
    return {"from_name": _CHOICES, "to_name": "audio", "type": "choices", "value": {"choices": list(labels)}}


def _from_label_studio(dataset: KaggleDataset, path: Path, who: str) -> list[Correction]:
    """Of each task the newest annotation that was not skipped."""
    labels: dict[str, Sequence[str]] = {}
    asked: dict[str, Sequence[str]] = {}
    people: dict[str, str] = {}
    try:
        for task in json.loads(read_bytes(path, dataset.limits)):
            data = task["data"]
            done = [one for one in task["annotations"] if not one.get("was_cancelled")]
            if not done:
                continue
            newest = max(done, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
            chosen = [one["value"]["choices"] for one in newest["result"] if one.get("from_name") == _CHOICES]
            fname = str(data["fname"])
            labels[fname] = [str(name) for own in chosen for name in own]
            asked[fname] = [str(name) for name in data.get("doubted", ())]
            people[fname] = _person(newest.get("completed_by")) or who
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInputError(
            f"{path} is not an export of Label Studio's tasks with their annotations ({type(error).__name__}: {error}): choose "
            "JSON when you export (not JSON-MIN or CSV), of a project made from `fa-assets labels export`."
        ) from error
    found = verdicts_of(dataset, labels, asked, who, "Label Studio")
    return [replace(one, who=people[one.fname]) for one in found]


def _person(completed_by: object) -> str:
    """Who annotated: an id, or an account."""
    if isinstance(completed_by, dict):
        return str(completed_by.get("email") or completed_by.get("id") or "")
    return "" if completed_by is None else f"Label Studio user {completed_by}"
