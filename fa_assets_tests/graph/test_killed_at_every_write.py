"""A run that is killed before any one of its writes: the next run makes what an undisturbed one had made."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import dagster as dg
import pyarrow as pa
import pytest

from fa_assets.catalog.database import Catalog
from fa_assets.graph.asset import Graph
from fa_assets.graph.staleness import stale_by_settings
from fa_assets.graph.work import KEEP_UNCHANGED_TAG, Made, Stored, Work
from fa_assets.store.atomic import write_file
from fa_assets.store.digests import DigestMemory
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import MissingValueError, ValueStore
from fa_assets_tests.catalog.made_up import dump
from fa_assets_tests.graph.test_work import declared, materialize, place_of


class KilledError(BaseException):
    """What stands for the end of the process: what catches it cannot write or remove anything any more."""


def assets(clips: list[int]) -> Graph:
    """A chain of the kinds that there are: by content, going on from its own earlier value, with a file beside the value."""

    def sticky(work: Work, above: Stored) -> Made:
        try:
            before = work.open(work.asset, by_fold=False).table["x"].to_pylist()
        except MissingValueError:
            before = []
        # What an undisturbed run keeps is kept; the rest says what is there so far.
        return Made(pa.table({"x": before + [100 * len(before) + one for one in clips[len(before) :]]}))

    def exported(work: Work, above: Stored) -> Made:
        path, text = work.root / "export" / "x.txt", str(above.table["x"].to_pylist())
        return Made(above.table, files=[work.stored(path, write_file(path, lambda file: file.write_text(text)))])

    table = pa.table({"x": clips})
    source = declared("source", lambda work: Made(table, version=f"v{len(clips)}"), settings={"clips": len(clips)})
    folds = declared("sticky", sticky, reads={"above": source})
    return Graph([source, folds, declared("exported", exported, reads={"above": folds})], ())


def contents(root: Path) -> dict[str, object]:
    values = ValueStore(root)
    tables = {asset: values.read(asset).table.to_pydict() for asset in ("source", "sticky", "exported")}
    return {**tables, "export": (root / "export" / "x.txt").read_text()}


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], list[str]]]:
    """``kill(n)``: the n-th write (the rename of a whole file) and all that would come after it do not happen. Gives the
    names of the files whose writes were tried."""
    replace, unlink, sync = Path.replace, Path.unlink, Catalog.sync
    tried: list[str] = []
    dead_at: int | None = None

    def die() -> NoReturn:
        raise KilledError

    def is_dead() -> bool:
        return dead_at is not None and len(tried) > dead_at

    def counted(self: Path, target: Path) -> Path:
        tried.append(Path(target).name)
        return die() if is_dead() else replace(self, target)

    def arm(number: int | None) -> list[str]:
        nonlocal dead_at
        tried.clear()
        dead_at = number
        return tried

    monkeypatch.setattr(Path, "replace", counted)
    monkeypatch.setattr(Path, "unlink", lambda self, **options: die() if is_dead() else unlink(self, **options))
    monkeypatch.setattr(Catalog, "sync", lambda *given: die() if is_dead() else sync(*given))
    yield arm
    arm(None)


@pytest.mark.promise(
    "Killed before any one of its writes, a run is made up for by the next: nothing is lost or mixed.",
    "kept",
    "all 7 writes of 3 assets",
)
def test_killed_before_any_write(tmp_path: Path, kill: Callable[[int | None], list[str]]) -> None:
    before, now = assets([1, 2]), assets([1, 2, 3])
    tags = {KEEP_UNCHANGED_TAG: "yes"}

    def run(graph: Graph, root: Path) -> bool:
        with dg.DagsterInstance.ephemeral() as instance:
            return bool(materialize(graph.assets, root, instance, **tags).success)

    assert run(before, tmp_path / "before")
    shutil.copytree(tmp_path / "before", tmp_path / "undisturbed")
    tried = kill(None)
    assert run(now, tmp_path / "undisturbed")
    writes = list(tried)
    assert len(writes) == 7, writes  # a value and an entry each, and the file
    expected = contents(tmp_path / "undisturbed")
    assert expected["sticky"] == {"x": [1, 2, 203]}
    for number, name in enumerate(writes):
        root = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "before", root)
        kill(number)
        assert not run(now, root)
        kill(None)
        assert stale_by_settings(now, place_of(root)), name
        assert run(now, root)
        assert contents(root) == expected, name
        entries = {(one.asset, one.id) for one in Ledger(root / "ledger").entries()}
        digests = DigestMemory(root / "digests.json")
        for asset in ("source", "sticky", "exported"):
            header, loss = ValueStore(root).examine(asset, None, digests)
            assert loss is None and header is not None, name
            assert (asset, header.materialization_id) in entries
            assert {one.source_id for one in header.inputs} <= {id for _, id in entries}, name
        assert stale_by_settings(now, place_of(root)) == {}
        catalog = Catalog.of(root, root)
        synced = dump(catalog)
        catalog.rebuild()
        assert dump(catalog) == synced, name
