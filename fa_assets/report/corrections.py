"""What the verdicts on labels changed, and what that did to LWLRAP."""

from collections.abc import Sequence

import pyarrow as pa

from fa_assets.metrics.bootstrap import FEW_UNITS
from fa_assets.metrics.corrections import Effect
from fa_assets.report.page import Section, Table

_COLUMNS = ("clip", "class", "verdict", "corrects", "who", "when", "why")


def corrections_section(corrections: pa.Table, effects: Sequence[Effect]) -> list[Section]:
    """A section where there are verdicts: the table label_corrections, and the effects that go with it."""
    rows = [row for row in corrections.to_pylist() if row["in_force"]]
    if not rows:
        return []
    changed = sum(row["changed"] for row in rows)
    text = (
        f"{len(rows)} verdicts of label_corrections.csv are in force; by {changed} of them a label is another than in "
        "train_curated.csv."
    )
    tables = []
    if effects:
        text += (
            " Before and after are models of the same folds and embeddings, fitted on the labels as given and as corrected. "
            "Correcting what a model doubts raises the first two rows by itself; on clips without a correction the "
            "difference shows what the model learnt. Their level is flattered too: clips that it was wrong about are not "
            f"among them. The intervals (95%) are of the difference; on fewer than {FEW_UNITS} units (independent clips or "
            "groups) they are rough."
        )
        figures = [
            (one.on, one.clips, one.before, one.after, one.after - one.before, one.low, one.high, one.units)
            for one in effects
        ]
        tables = [Table("LWLRAP", ("on", "clips", "before", "after", "difference", "low", "high", "units"), figures)]
    verdicts = [
        (
            row["fname"],
            row["class_name"],
            row["verdict"],
            "yes" if row["changed"] else "",
            row["who"],
            row["decided_at"],
            row["why"],
        )
        for row in sorted(rows, key=lambda row: not row["changed"])
    ]
    return [
        Section(
            "Corrected labels", text, tables=[*tables, Table("Verdicts in force", _COLUMNS, verdicts, printed=False)]
        )
    ]
