"""Where pages are, on whatever host and port: what Dagster's metadata links to."""

REVIEW = "/review"
COMPARE = "/compare"


def report_address(run_id: str) -> str:
    """The report of a run."""
    return f"/reports/{run_id}.html"


def compare_address(a: str, b: str) -> str:
    """Two runs side by side."""
    return f"{COMPARE}?a={a}&b={b}"
