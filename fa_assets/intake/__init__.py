"""A dataset folder becomes clips, labels and folds."""
