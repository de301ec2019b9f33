"""What is kept on disk or in an object store: values, crop embeddings, the ledger; how files are written and fetched."""
