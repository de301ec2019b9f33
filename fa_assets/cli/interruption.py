"""Ctrl-C and SIGTERM end a command within seconds, whatever it is doing.

Both raise KeyboardInterrupt in the main thread. It can be lost there: while a module is imported, in a destructor, in a library
that takes note and goes on. And a long call into a library holds it up. So a thread that sees the signal too sends it again,
and ends the process in the end. That loses no more than a kill does: what the next run finds is whole, and it finds the dead.
"""

import logging
import os
import signal
import threading
import time

INTERRUPTED = "\nInterrupted. What was finished is kept; the same command goes on from there."
_AGAIN_AFTER_S = (3.0, 3.0)
_END_AFTER_S = 3.0


def end_on_signals() -> None:
    """Be ended by SIGINT, unless this process was started to ignore it, and by SIGTERM as by SIGINT."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # It logs a signal that comes while it closes a connection, with the stack, and goes on.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    threading.Thread(target=_watch, args=(read,), daemon=True, name="signals").start()


def ignore_signals() -> None:
    """The end is under way: another signal is not to interrupt it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _watch(read: int) -> None:
    while os.read(read, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
        pass
    for seconds in _AGAIN_AFTER_S:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_AFTER_S)
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(130)
