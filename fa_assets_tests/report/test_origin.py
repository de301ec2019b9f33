from datetime import UTC, datetime
from pathlib import Path

from fa_assets.report.origin import behind, environment_table, lineage_table, settings_table
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def entry(id: str, asset: str, *inputs: InputVersion, partition: str | None = None, **environment: str) -> LedgerEntry:
    return LedgerEntry(
        id=id,
        asset=asset,
        partition=partition,
        run_id="run-of-" + id,
        started_at=AT,
        finished_at=AT,
        code_version="1 seed=42",
        data_version=f"version-of-{id}",
        inputs=inputs,
        settings={"seed": 42},
        environment={"python": "3.11", **environment},
        timings={},
        files=(),
        metadata={},
    )


def made_up(folder: Path) -> Ledger:
    """clips -> embeddings of two folds -> metrics; and an older metrics that nothing uses."""
    ledger = Ledger(folder)
    source = InputVersion("recordings", None, "folder-1")
    clips = InputVersion("clips", None, "version-of-a", source_id="a")
    folds = [InputVersion("embeddings", fold, f"version-of-b{fold}", source_id=f"b{fold}") for fold in "01"]
    ledger.append(entry("a", "clips", source))
    for fold in "01":
        ledger.append(entry(f"b{fold}", "embeddings", clips, partition=fold, device="cuda:0"))
    ledger.append(entry("c", "metrics", *folds))
    ledger.append(entry("old", "metrics", *folds))
    return ledger


def test_everything_behind_a_value_and_nothing_else_upstream_first(tmp_path: Path) -> None:
    found = behind(made_up(tmp_path), [InputVersion("metrics", None, "version-of-c", source_id="c")])
    assert [one.id for one in found] == ["a", "b0", "b1", "c"]
    table = lineage_table(found)
    assert [row[table.columns.index("made from")] for row in table.rows] == [
        "recordings folder-1",
        "clips version-",
        "clips version-",
        "embeddings folds 0 1",
    ]
    assert table.rows[1][:4] == ("embeddings", "0", "version-of-b0", "1 seed=42")


def test_settings_and_environment_say_where_they_hold(tmp_path: Path) -> None:
    found = behind(made_up(tmp_path), [InputVersion("metrics", None, "version-of-c", source_id="c")])
    assert settings_table(found).rows == [("seed", "42", "clips, embeddings, metrics")]
    assert ("python", "3.11", "") in environment_table(found).rows
    assert ("device", "cuda:0", "") in environment_table(found).rows
    mixed = [*found, entry("d", "comparison", python="3.12")]
    assert ("python", "3.12", "comparison") in environment_table(mixed).rows
    assert ("python", "3.11", "clips, embeddings, metrics") in environment_table(mixed).rows


def test_what_comes_from_outside_has_no_entry(tmp_path: Path) -> None:
    assert behind(made_up(tmp_path), [InputVersion("recordings", None, "folder-1")]) == []
