"""The console script `fa-assets`: signals are looked after before anything that takes time is imported."""

import logging
import os
import sys
import traceback
from contextlib import suppress

from fa_assets.cli.interruption import INTERRUPTED, end_on_signals, ignore_signals


def entry() -> None:
    """`fa_assets.cli.main.main`, which signals end, then an exit that keeps its code.

    Threads that native libraries leave running can abort the interpreter's teardown ("terminate called without an active
    exception") after all work is done and written; so the process ends without that teardown.
    """
    code = 0
    end_on_signals()
    try:
        try:
            from fa_assets.cli.main import main
        except (ImportError, MemoryError, OSError) as error:
            said = " ".join(str(error).split())[-200:] or type(error).__name__
            sys.exit(
                f"fa-assets cannot be loaded ({said}): its installation is broken, or memory is short (ulimit -v)."
            )
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            sys.stderr.write(f"{stop.code}\n")
    except KeyboardInterrupt:  # while it was imported
        ignore_signals()
        sys.stderr.write(f"{INTERRUPTED}\n")
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    logging.shutdown()
    with suppress(OSError):  # what could not be written was said
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
