"""What asset checks said: one small JSON file for each evaluation, append-only, beside the ledger.

    <folder>/<id>_<asset>_<check>.json

A file is whole or not there; one that cannot be read is left out with a warning.
"""

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fa_assets.store.atomic import replacing
from fa_assets.store.ledger import JsonValue
from fa_assets.store.roots import StoragePath, file_names, read_each, read_whole

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckRecord:
    """One evaluation of a check of an asset.

    Attributes:
        id: sorts by time.
        run_id: of the Dagster run that evaluated it.
        materialization_ids: of what was judged, one for each fold where the asset has folds.
        severity: WARN or ERROR, of a check that does not pass.
        offenders: what does not pass, all of it, where the check lists that.
    """

    id: str
    asset: str
    name: str
    run_id: str
    evaluated_at: datetime
    materialization_ids: tuple[str, ...]
    passed: bool
    severity: str
    description: str
    offenders: Sequence[Mapping[str, JsonValue]] = ()


class CheckRecords:
    """The records in one folder, which need not be there yet."""

    def __init__(self, folder: StoragePath) -> None:
        self.folder = folder

    def append(self, record: CheckRecord) -> None:
        """Write a record to its own file.

        Raises:
            OSError: it cannot be written.
        """
        fields = {**vars(record), "evaluated_at": record.evaluated_at.isoformat()}
        with replacing(self.folder / f"{record.id}_{record.asset}_{record.name}.json") as temporary:
            temporary.write_text(json.dumps(fields, indent=1), encoding="utf-8")

    def records(self, skip: Collection[str] = (), since: str = "") -> Iterator[CheckRecord]:
        """The records in the order of their ids, without those in `skip` and those before the id `since`."""
        names = [
            name
            for name in file_names(self.folder)
            if name.endswith(".json") and name >= since and name.partition("_")[0] not in skip
        ]
        for one in read_each(self.folder, _read, [self.folder / name for name in names]):
            if isinstance(one, CheckRecord):
                yield one
            else:
                log.warning("%s It is left out.", one)


def _read(path: StoragePath) -> CheckRecord | str:
    try:
        fields = json.loads(read_whole(path))
        fields["evaluated_at"] = datetime.fromisoformat(fields["evaluated_at"])
        fields["materialization_ids"] = tuple(fields["materialization_ids"])
        return CheckRecord(**fields)
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"The record of a check {path} is damaged ({type(error).__name__}: {error})."
