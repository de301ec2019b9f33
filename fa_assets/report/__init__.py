"""The report: one HTML page about one run that needs nothing beside it, no network and no other file. Plain Python."""
