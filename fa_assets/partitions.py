"""The fold partitions, and how assets read each other across them."""

import dagster as dg

from fa_assets.settings import N_FOLDS

FOLD_NAMES = tuple(str(fold) for fold in range(N_FOLDS))
FOLDS = dg.StaticPartitionsDefinition(list(FOLD_NAMES))

ALL_IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""One run may cover several folds, so that the weights are loaded once."""


def all_folds_of(asset: dg.AssetsDefinition) -> dg.AssetDep:
    """Depend on every fold of a partitioned asset."""
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
