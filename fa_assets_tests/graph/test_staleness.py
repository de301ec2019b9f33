"""What is stale, told from what lies in the storage folder; and what a selection may leave out."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import plan


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Settings:
    return finished.copy(tmp_path)


def reasons(settings: Settings, **options: object) -> dict[str, str]:
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        return {one.asset: one.reason for one in plan(settings, instance, **options)}


def entry_of(root: Path, asset: str) -> Path:
    ledger = Ledger(root / "ledger")
    newest = next(ledger.newest_of(asset))
    return ledger.path(newest.id, newest.asset, newest.partition)  # type: ignore[return-value]


LOSSES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a classifier": (lambda root: (root / "classifiers" / "final.npz").unlink(), "final_classifier", "final.npz"),
    "half a file": (lambda root: (root / "submission" / "submission.csv").write_text("fname"), "submission", "csv"),
    "an entry": (lambda root: entry_of(root, "mc5_metrics").unlink(), "mc5_metrics", "ledger entry"),
    "a damaged entry": (lambda root: entry_of(root, "folds").write_text("{"), "folds", "ledger entry"),
}


@pytest.mark.parametrize("what", LOSSES)
def test_a_value_counts_with_its_record_and_the_files_beside_it(what: str, settings: Settings) -> None:
    lose, asset, said = LOSSES[what]
    assert reasons(settings) == {}
    lose(settings.storage_root)  # type: ignore[arg-type]
    found = reasons(settings)
    assert said in found.pop(asset)
    assert all("is not current" in reason for reason in found.values())


def test_what_reads_other_assets_than_before_is_stale(settings: Settings) -> None:
    other = settings.model_copy(update={"scheme": "center", "baseline": "mc5"})
    found = reasons(other)
    assert found["experiments"] == "it reads other assets now"
    assert not found.keys() & {"mc5_metrics", "center_metrics", "folds"}


def test_a_selection_does_not_mix_settings(settings: Settings) -> None:
    other = settings.model_copy(update={"regularization_c": 1.0})
    with pytest.raises(UserError, match="comparison reads center_metrics, mc5_metrics. Use --select '\\+comparison'"):
        reasons(other, select="comparison")
    with pytest.raises(UserError, match="mc5_metrics reads mc5_oof_predictions"):
        reasons(other, select="mc5_metrics", force=True)
    assert {"mc5_oof_predictions", "center_oof_predictions", "comparison"} <= reasons(
        other, select="+comparison"
    ).keys()


def test_the_summary_says_which_figures_are_not_of_these_settings(settings: Settings) -> None:
    assert "mc5 - center" in fa_assets("summary", settings=settings).stdout
    other = fa_assets("summary", "--regularization-c", "1", settings=settings).stdout
    assert other.count("not of these settings: see fa-assets status") == 2
    assert "mc5 - center" not in other
