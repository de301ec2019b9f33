"""Where embeddings are computed other than in this process. Ray is imported here alone, and only when it was asked for."""
