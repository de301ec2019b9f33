"""Single flipped bits in what a run leaves: values, ledger entries, classifiers, the catalog. Each case reads the damaged file
as a run, a command or a notebook would, and must end in a `UserError`, or in exactly what was written.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fa_assets.errors import UserError
from fa_assets.models.classifier_file import ClassifierOrigin, StoredClassifier, load_classifier, save_classifier
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.catalog.made_up import CLASSES, MadeUpStorage, dump
from fa_assets_tests.recorded import flipped

NAMED, SAME, SILENT, UNCAUGHT = "named", "the same", "SILENT", "UNCAUGHT"
GOOD = (NAMED, SAME)
IN_SQL = ("catalog", "embeddings in SQL")
_SQL_SHARE = 20
"""One case in so many is read by DuckDB, which takes longer to open than all others together."""


@dataclass(frozen=True)
class Flipped:
    """A case: which kind of file, which bit of which file, what came of it and why."""

    kind: str
    file: str
    bit: int
    verdict: str
    reason: str = ""


def flip_bits(seed: int, count: int) -> list[Flipped]:
    """So many cases over a made-up storage folder of one run."""
    random = np.random.default_rng(seed)
    with TemporaryDirectory() as name:
        readers = _stored(Path(name))
        in_sql, others = ([one for one in readers if (one[0] in IN_SQL) is slow] for slow in (True, False))
        return [_judge(*_pick(random, others if case % _SQL_SHARE else in_sql), random) for case in range(count)]


def verdicts_of(cases: list[Flipped]) -> Mapping[str, Counter[str]]:
    """How many cases came to which verdict, by kind of file."""
    return {kind: Counter(one.verdict for one in cases if one.kind == kind) for kind in {one.kind for one in cases}}


_Reader = tuple[str, Path, Callable[[], object]]
"""Kind of file, the file, and what reads it: equal to itself where nothing is damaged."""


def _stored(root: Path) -> list[_Reader]:
    storage = MadeUpStorage(root)
    storage.write_everything()
    storage.write_experiments({"1": 0.5, "2": 0.6, "nested": 0.55})
    storage.catalog.sync()
    values, ledger = ValueStore(root), Ledger(root / "ledger")
    sums = "select fold, fname, list_sum(embedding) from embeddings order by all"
    readers: list[_Reader] = [
        (IN_SQL[0], storage.catalog.path, lambda: repr(dump(storage.catalog))),
        (IN_SQL[1], Path(values.path("mc5_embeddings", "1")), lambda: storage.catalog.query(sums).to_csv()),
    ]
    for entry in ledger.entries():
        asset, partition = entry.asset, entry.partition

        def read_value(asset: str = asset, partition: str | None = partition) -> object:
            value = values.read(asset, partition)
            return value.table.to_pydict(), value.header, values.header(asset, partition)

        def read_header(asset: str = asset, partition: str | None = partition) -> object:
            header = values.header(asset, partition)
            if header is None:
                raise UserError("it cannot be read")
            return header

        path = root / entry.files[0].path
        readers += [
            ("value", path, read_value),
            ("header", path, read_header),
            ("ledger entry", Path(ledger.path(entry.id, asset, partition)), partial(ledger.read, entry.id)),
        ]
    file = root / "classifiers" / "final.npz"
    save_classifier(file, _a_classifier())
    readers += [("classifier", file, lambda: repr(_contents(load_classifier(file))))] * 3
    return readers


def _a_classifier() -> StoredClassifier:
    random = np.random.default_rng(0)
    n = len(CLASSES)
    arrays = {
        "coef": random.normal(size=(n, 8)).astype(np.float32),
        "intercept": random.normal(size=n).astype(np.float32),
        "mean": random.normal(size=8),
        "scale": random.random(8) + 0.5,
        "positives": np.full(n, 3, np.int32),
        "iterations": np.full(n, 5, np.int32),
        "converged": np.ones(n, bool),
        "trained": np.ones(n, bool),
    }
    origin = ClassifierOrigin("final_classifier", None, "v1", "mc5", "f" * 16, {"C": 2.0}, {"numpy": "2"})
    return StoredClassifier(OneVsRest(**arrays), CLASSES, origin)


def _contents(stored: StoredClassifier) -> object:
    return [(name, one.dtype, one.tobytes()) for name, one in vars(stored.model).items()], stored.classes, stored.origin


def _judge(kind: str, path: Path, read: Callable[[], object], random: np.random.Generator) -> Flipped:
    whole, expected = path.read_bytes(), read()
    bit = int(random.integers(8 * len(whole)))
    path.write_bytes(flipped(whole, bit))
    verdict, reason = UNCAUGHT, ""
    try:
        verdict = SAME if read() == expected else SILENT
    except UserError as error:
        verdict, reason = NAMED, str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    finally:
        path.write_bytes(whole)
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}.wal").unlink()
    return Flipped(kind, path.name, bit, verdict, reason)


def _pick(random: np.random.Generator, readers: list[_Reader]) -> _Reader:
    return readers[random.integers(len(readers))]
