"""What Dagster injects into the assets: the dataset, the encoder, the recorder of values and provenance, progress."""
