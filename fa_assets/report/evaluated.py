"""What the report of a run is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from fa_assets.metrics.bootstrap import PairedBootstrap
from fa_assets.metrics.corrections import Effect
from fa_assets.metrics.figures import Figures
from fa_assets.metrics.predictions import Predictions
from fa_assets.report.encoders import SideBySide
from fa_assets.report.snippets import LocalClip
from fa_assets.store.check_records import CheckRecord
from fa_assets.store.ledger import LedgerEntry


@dataclass(frozen=True, eq=False)
class Before:
    """The run before with other figures: its id, when its report was made, and its table of `label_ranks`."""

    run_id: str
    at: datetime
    ranks: pa.Table


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Everything the report is made of: the stored values, and where the clips would lie on this machine.

    Attributes:
        schemes: the crop scheme and its baseline.
        clips: the table folds.
        left_out: (file name, reason) of clips that could not be used.
        embeddings: float32 (n, d), the scheme's, in the order of the clips.
        predictions: the scheme's, out of fold.
        ranks: their table of `label_ranks`.
        figures: the scheme's; `baseline` the baseline's.
        gain: the paired bootstrap of their difference.
        audit: the table label_audit.
        entries: the materializations behind all of it, upstream first.
        checks: the latest evaluation of each check of these.
        before: the run before, where there is one.
        test: the table test_metrics, where it belongs to these predictions.
        experiments: the table of this name; a section only where it has rows.
        learning_curve: the table of this name, where there is one.
        corrections: the table label_corrections, and the `effects` that go with it.
        encoders: where there are several.
        pictures: whether there are any, the map and spectrograms among them.
    """

    schemes: tuple[str, str]
    clips: pa.Table
    left_out: Sequence[Sequence[str]]
    embeddings: np.ndarray
    predictions: Predictions
    ranks: pa.Table
    figures: Figures
    baseline: Figures
    gain: PairedBootstrap
    audit: pa.Table
    encoder: str
    weights_origin: str
    weights_licence: str
    weights_trained: bool
    local_clips: Mapping[str, LocalClip]
    entries: Sequence[LedgerEntry]
    checks: Sequence[CheckRecord] = ()
    before: Before | None = None
    test: pa.Table | None = None
    experiments: pa.Table | None = None
    learning_curve: pa.Table | None = None
    corrections: pa.Table | None = None
    effects: Sequence[Effect] = ()
    encoders: SideBySide | None = None
    pictures: bool = True
