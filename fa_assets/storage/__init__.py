"""Files: the stored values of the assets and the embedding store."""
