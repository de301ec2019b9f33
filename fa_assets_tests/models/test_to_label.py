"""`clips_to_label` and `fa-assets labels next` on a finished run."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from fa_assets.errors import UserError
from fa_assets.models.to_label import COLUMNS, clips_to_label
from fa_assets.settings import Settings
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.recorded import put


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Settings:
    return finished.copy(tmp_path)


def with_labels(settings: Settings, labels: list[list[str] | None]) -> None:
    value = ValueStore(settings.storage_root).read("test_clips")
    position = value.table.schema.get_field_index("labels")
    field = value.table.schema.field(position)
    rows = labels + [["x"]] * (value.table.num_rows - len(labels))
    put(settings.storage_root, value.table.set_column(position, field, pa.array(rows, field.type)), value.header)


def test_only_clips_without_labels_are_named(settings: Settings, tmp_path: Path) -> None:
    names = ValueStore(settings.storage_root).read("test_clips").table["fname"].to_pylist()
    with_labels(settings, [None, None])
    rows = clips_to_label(settings.storage_root, 10)
    assert {row[1] for row in rows} == set(names[:2])
    assert rows == sorted(rows, key=lambda row: row[2])
    assert all(row[2] == pytest.approx(abs(2 * row[4] - 1)) for row in rows)
    file = tmp_path / "next.csv"
    assert "2 clips in" in fa_assets("labels", "next", "--csv", str(file), settings=settings).stdout
    with file.open(newline="") as opened:
        header, *written = csv.reader(opened)
    assert tuple(header) == COLUMNS and [row[1] for row in written] == [row[1] for row in rows]


def test_without_such_clips_it_says_where_they_go(settings: Settings) -> None:
    with_labels(settings, [])
    with pytest.raises(UserError, match="put them into test/"):
        clips_to_label(settings.storage_root, 10)
