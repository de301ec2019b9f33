"""The partitions: the folds of the clips."""

import dagster as dg

from fa_assets.metrics.folds import N_FOLDS

FOLD_NAMES = tuple(str(fold) for fold in range(N_FOLDS))
FOLDS = dg.StaticPartitionsDefinition(list(FOLD_NAMES))

ALL_IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""One run may cover several folds, so that the weights are loaded once."""
