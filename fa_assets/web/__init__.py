"""Pages on the origin of Dagster's: the reports, and what is listened to. Plain Starlette, nothing fetched from outside."""
