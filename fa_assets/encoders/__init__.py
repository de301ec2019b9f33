"""Crops in, embeddings out."""
