"""Where pages are, on whatever host and port: what Dagster's metadata links to."""

REVIEW = "/review"


def report_address(run_id: str) -> str:
    """The report of a run."""
    return f"/reports/{run_id}.html"
