"""Where pages are, on whatever host and port: what Dagster's metadata links to."""

REVIEW = "/review"
COMPARE = "/compare"
PICTURES = "pictures"
"""Also the folder of the storage."""


def report_address(run_id: str) -> str:
    """The report of a run."""
    return f"/reports/{run_id}.html"


def picture_address(name: str) -> str:
    """A picture of an asset, by the name of its file."""
    return f"/{PICTURES}/{name}"


def compare_address(a: str, b: str) -> str:
    """Two runs side by side."""
    return f"{COMPARE}?a={a}&b={b}"
