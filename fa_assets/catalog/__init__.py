"""What was made, from what, when and how: the ledger (the truth) and the catalog (its queryable projection)."""
