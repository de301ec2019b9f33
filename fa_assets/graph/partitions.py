"""The partitions (folds of the clips, shards of the test clips), and how assets read each other across them."""

import dagster as dg

from fa_assets.metrics.folds import N_FOLDS

FOLD_NAMES = tuple(str(fold) for fold in range(N_FOLDS))
FOLDS = dg.StaticPartitionsDefinition(list(FOLD_NAMES))

SHARDS = dg.StaticPartitionsDefinition(list(FOLD_NAMES))
"""Shards of the test clips, which have no folds: as many and named as these, so that one run covers a range of both."""

ALL_IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""One run may cover several folds, so that the weights are loaded once."""


def all_folds_of(asset: dg.AssetsDefinition) -> dg.AssetDep:
    """Depend on every fold of a partitioned asset."""
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
