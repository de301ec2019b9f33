"""The report's section on corrected labels."""

import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.metrics.corrections import OWN_LABELS, UNTOUCHED, Effect
from fa_assets.report.corrections import corrections_section


def verdict(fname: str, *, in_force: bool, changed: bool) -> dict[str, object]:
    said = {"class_name": "Bell", "verdict": "add", "who": "ada", "decided_at": "2026-11-29", "why": "heard"}
    return {"fname": fname, "in_force": in_force, "changed": changed, **said}


def test_verdicts_in_force_and_their_effect_are_shown_those_that_correct_first() -> None:
    rows = [
        verdict("a.wav", in_force=True, changed=False),
        verdict("b.wav", in_force=False, changed=False),
        verdict("c.wav", in_force=True, changed=True),
    ]
    effects = [Effect(OWN_LABELS, 9, 0.5, 0.75), Effect(UNTOUCHED, 8, 0.5, 0.625, -0.125, 0.25, 7)]
    (section,) = corrections_section(pa.Table.from_pylist(rows, schema=tables.LABEL_CORRECTIONS), effects)
    assert section.text.startswith("2 verdicts of label_corrections.csv are in force; by 1 of them")
    effect, verdicts = section.tables
    assert effect.rows[1] == (UNTOUCHED, 8, 0.5, 0.625, 0.125, -0.125, 0.25, 7)
    assert [row[:4] for row in verdicts.rows] == [("c.wav", "Bell", "add", "yes"), ("a.wav", "Bell", "add", "")]


def test_without_verdicts_there_is_no_section() -> None:
    assert corrections_section(tables.LABEL_CORRECTIONS.empty_table(), []) == []
