"""A table that somebody wrote as JSON (records, JSON Lines, columns as in pandas, labels by name of clip) or Parquet."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fa_assets.errors import BadInputError, one_line
from fa_assets.intake.names import is_audio, trimmed

_OF_A_RECORD = frozenset(
    {"fname", "file_name", "filename", "file", "path", "label", "labels", "class", "category", "tags"}
)
"""Keys that tell one object as a record from names of clips with their labels."""

BY_CLIP = ", labels by the names of clips"
"""What is said of one object without such a key."""


def is_json(text: str) -> bool:
    """Whether a text begins as a JSON object does, or a list of them."""
    return re.match(r"\ufeff?\s*(\{|\[\s*\{)", text) is not None


def json_table(path: Path, text: str, required: Sequence[str]) -> tuple[list[str], list[list[str]], str]:
    """The header and the rows of a table in JSON, and in words what it is; lists in cells are JSON, null is empty.

    Raises:
        BadInputError: it is not JSON, a key is there twice, it is no table, or a required column holds objects.
    """
    text = text.removeprefix("\ufeff").strip()
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    try:
        if len(lines) > 1 and all(line.strip()[:1] == "{" and line.strip()[-1:] == "}" for line in lines):
            found, what = [_loads(line) for line in lines], "JSON Lines"
        else:
            found, what = _loads(text), "JSON"
    except (ValueError, RecursionError) as error:
        raise BadInputError(
            f"{path} begins as JSON and cannot be read as that ({error}): correct it, or write a CSV."
        ) from error
    if isinstance(found, dict):
        found, how = _records(found)
        what += how
    if not found or not all(isinstance(one, dict) for one in found):
        raise BadInputError(
            f"{path} is JSON and no table: it needs a list of objects with one for each clip, as "
            '[{"fname": "a.wav", "labels": ["Dog"]}], one object a line, or {"a.wav": ["Dog"]}. Or write a CSV.'
        )
    try:
        found = [_once([(trimmed(name), cell) for name, cell in one.items()]) for one in found]
    except ValueError as error:
        raise BadInputError(f"{path}: {error}, but for blanks around it: rename one of them.") from error
    header = list(dict.fromkeys(name for one in found for name in one))
    if odd := [key for one in found for key in one if key in {*required, *_OF_A_RECORD} and _is_nested(one[key])]:
        raise BadInputError(f"{path}: {odd[0]!r} holds objects or lists of lists; names are needed, or lists of names.")
    rows = [[_cell(one.get(name)) for name in header] for one in found]
    if damaged := [cell for row in [header, *rows] for cell in row if re.search(r"[\0\ud800-\udfff]|\\u0000", cell)]:
        raise BadInputError(
            f"{path}: NUL, or half of a character, in {damaged[0]!r}: correct that, or write the file again."
        )
    return header, rows, what


def parquet_table(path: Path, content: bytes) -> tuple[list[str], list[list[str]], list[str]]:
    """The header and the rows of a Parquet file, and its columns of bytes or objects, such as sound, which are left out.

    Raises:
        BadInputError: it is no whole Parquet file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def is_plain(kind: Any) -> bool:
        are_lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        kind = kind.value_type if any(is_one(kind) for is_one in are_lists) else kind
        return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        header = [field.name for field in file.schema_arrow if is_plain(field.type)]
        found = file.read(columns=header).to_pylist()
    except pa.ArrowException as error:
        raise BadInputError(f"{path} is no whole Parquet file ({one_line(error)}): fetch or write it again.") from error
    left_out = [field.name for field in file.schema_arrow if field.name not in header]
    return [*map(trimmed, header)], [[_cell(one[name]) for name in header] for one in found], left_out


def _loads(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError(f"{next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))!r} is there twice")
    return found


def _records(one: Mapping[str, Any]) -> tuple[list[Any], str]:
    """The records that an object stands for, and in words how; none where it is no table."""
    values = list(one.values())
    if values and all(isinstance(value, dict) for value in values):
        if all([*value] == [*values[0]] for value in values) and all(map(str.isdigit, values[0])):
            return [
                {name: cells[row] for name, cells in one.items()} for row in values[0]
            ], ", an object for each column"
        return [
            {"key" if "fname" in own else "fname": key, **own} for key, own in one.items()
        ], ", objects by their keys"
    lists = [value for value in values if isinstance(value, list)]
    named = [str(cell) for own in lists for cell in own]
    if lists == values and named and all(map(is_audio, named)) and not _OF_A_RECORD & {*one}:
        return [
            {"fname": cell, "labels": label} for label, own in one.items() for cell in own
        ], ", clips by their labels"
    if values and all(region_labels(value) is not None for value in values):
        return [{"fname": name, "labels": own} for name, own in one.items()], BY_CLIP
    tables = [value for value in lists if value and all(isinstance(row, dict) for row in value)]
    if len(tables) == 1:
        return tables[0], f", the list {next(key for key, value in one.items() if value is tables[0])!r}"
    cells = [cell for own in lists for cell in own] or values
    if not any(map(is_audio, one)) and (_OF_A_RECORD & {*one} or any(is_audio(str(cell)) for cell in cells)):
        if len(lists) == len(values) and len({*map(len, lists)}) == 1:
            return [dict(zip(one, row, strict=True)) for row in zip(*lists, strict=True)], ", a list for each column"
        return [one], ", one object"
    if any(isinstance(value, dict) for value in values) or tables:
        return [], ""
    return [{"fname": name, "labels": own} for name, own in one.items()], BY_CLIP


def region_labels(value: Any) -> list[str] | None:
    """The labels of Label Studio's regions, or its choices, each once; None for anything else."""
    regions = value if isinstance(value, list) else [value]
    each = [one if isinstance(one, dict) else {} for one in regions]
    own = [one.get("labels", one.get("choices", [one["label"]] if "label" in one else None)) for one in each]
    if not own or not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in own):
        return None
    return list(dict.fromkeys(name for names in own for name in names or ()))


def _is_nested(value: Any) -> bool:
    if region_labels(value) is not None:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value))


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if (own := region_labels(value)) is not None:
        value = own
    if isinstance(value, list) and not _is_nested(value):
        value = [str(one) for one in value if one is not None]
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
