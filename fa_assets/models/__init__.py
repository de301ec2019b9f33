"""Arrays in, arrays out: folds, classifiers, experiments."""
