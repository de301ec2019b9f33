"""Two runs side by side."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import soundfile

from fa_assets.catalog.tracing import Difference, Run, RunDifferences
from fa_assets.metrics.label_ranks import rank_changes
from fa_assets.report.compare import compare_page
from fa_assets.report.page import Bar, render
from fa_assets.report.snippets import LocalClip
from fa_assets.store.atomic import digest_file
from fa_assets_tests.report.made_up import AT, predictions, ranks

A, B = ranks(predictions(40, 5, seed=1)), ranks(predictions(40, 5, seed=2))
FOUND = RunDifferences(
    *(
        Run(f"{name}1234567890", AT + timedelta(days=day), AT, 3, (), None, None, {})
        for name, day in (("a", 0), ("b", 1))
    ),
    (
        Difference("setting", "mc5_oof_predictions.C", "1", "2"),
        Difference("data", "mc5_embeddings[0]", "old", "new"),
        Difference("lwlrap", "mc5", "0.5", "0.6"),
    ),
)


def test_it_says_how_much_better_the_second_is_on_what_both_share() -> None:
    page = compare_page(FOUND, A, B, {})
    changes = rank_changes(A, B)
    assert changes.change is not None
    assert [one.name for one in page.figures] == ["LWLRAP of a", "LWLRAP of b", "b less a"]
    assert page.figures[2].value == f"{changes.change.difference:+.4f}"
    ends = f"{changes.change.low:+.4f} to {changes.change.high:+.4f}"
    assert page.figures[2].interval == f"95% interval {ends} over 40 independent clips or groups"
    assert page.answer.startswith("run b1234567 ") and "run a1234567" in page.answer


def test_classes_settings_and_data_stand_in_parts_of_their_own() -> None:
    classes, clips, data, settings = compare_page(FOUND, A, B, {}).sections
    (by_class,) = classes.tables
    assert len(by_class.rows) == 5
    for name, a, b, difference, _, _ in by_class.rows:
        assert isinstance(a, Bar) and isinstance(b, Bar), name
        assert float(str(difference)) == pytest.approx(b.value - a.value, abs=5e-5)
    assert clips.tables[0].rows[0][4] and "→" in str(clips.tables[0].rows[0][4])
    assert [one.rows for one in settings.tables] == [[("setting", "mc5_oof_predictions.C", "1", "2")]]
    assert [one.rows for one in data.tables] == [[("data", "mc5_embeddings[0]", "old", "new")]]


def test_clips_with_other_labels_are_listed_and_have_no_part_in_the_difference() -> None:
    rows = [{**row, "class_name": "Other"} if row["fname"] == "00003.wav" else row for row in B.to_pylist()]
    data = compare_page(FOUND, A, pa.Table.from_pylist(rows, schema=B.schema), {}).sections[2]
    assert data.tables[0].rows == [("00003.wav", "Class_03", "Other")]
    assert "39 clips are the same in both. 1 have other labels" in data.text


def test_the_clips_that_changed_most_can_be_heard(tmp_path: Path) -> None:
    first = rank_changes(A, B).clips[0]
    path = tmp_path / first.fname
    soundfile.write(path, [0.1, -0.1] * 4000, 16_000)
    page = compare_page(FOUND, A, B, {first.fname: LocalClip(first.fname, path, digest_file(path).sha256)})
    (player,) = page.sections[1].players
    assert player.title == first.fname and "→" in player.text and player.data_uri.startswith("data:audio/")
    html = render(page)
    assert html.count("<audio") == 1 and "checks passed" not in html


def test_runs_that_share_no_clip_say_so() -> None:
    page = compare_page(FOUND, A, ranks(predictions(40, 5), sha256="other"), {})
    assert "nothing to compare" in page.answer and len(page.figures) == 2
    assert "Clips that a alone has" in render(page)
