"""Networks that turn crops into embeddings, and what computes them."""
