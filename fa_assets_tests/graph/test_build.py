"""The definitions as a whole."""

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.settings import Settings


@pytest.mark.parametrize(
    "resources",
    [
        {"encoder": {"config": {"precision": "bf16", "device": "cuda"}}},
        {"recorder": {"config": {"storage": "/elsewhere"}}},
        {"dataset": {"config": {"folder": "/elsewhere"}}},
        {"progress": {"config": {"anything": 1}}},
    ],
)
def test_the_launchpad_cannot_configure_what_the_settings_say(resources: dict[str, object]) -> None:
    job = build_definitions(Settings()).resolve_job_def(EVERYTHING)
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"resources": resources})
