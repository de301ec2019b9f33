"""Retries of an asset after a transient error: a server that does not answer, a GPU that is full.

Only errors that say of themselves that they are `transient` come here, and that is why no asset has a retry policy of
Dagster's: it would also run bad input again, bugs, and what was stopped with Ctrl-C. The wait is before the
retry is asked for, because Dagster's own cannot be interrupted.
"""

import logging
import random
import time

import dagster as dg

from fa_assets.errors import UserError

log = logging.getLogger(__name__)

RETRIES = 2
WAIT_S = 30.0
"""Before the first retry; twice that before the second. Longer than a download has waited already, short beside a run."""
JITTER = 0.2
"""By this share the wait is longer or shorter, so that runs that failed together do not come back together."""


def wait_to_retry(error: UserError, retries_so_far: int) -> None:
    """Wait, and have Dagster run the step again; come back at once when it was tried often enough.

    Raises:
        dagster.RetryRequested: the step is to run again.
    """
    if retries_so_far >= RETRIES:
        log.warning("Tried %d times, giving up.", retries_so_far + 1)
        return
    wait_s = WAIT_S * 2**retries_so_far * random.uniform(1 - JITTER, 1 + JITTER)
    log.warning(
        "%s This may be temporary: trying again in %.0f s (retry %d of %d).", error, wait_s, retries_so_far + 1, RETRIES
    )
    time.sleep(wait_s)
    raise dg.RetryRequested(max_retries=RETRIES) from error
