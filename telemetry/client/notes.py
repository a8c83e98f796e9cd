"""Says on standard error, once each, what an author should know. Never fails."""

import os
import sys
import threading
from contextlib import suppress

_PREFIX = "orbit telemetry: "
_MAX_WAITING = 50
_given: set[str] = set()
_waiting: list[str] = []


def once(key: str, sentence: str) -> None:
    """Say ``sentence``, unless ``key`` was said in this process."""
    if key in _given or len(_waiting) >= _MAX_WAITING:
        return
    _given.add(key)
    _waiting.append(sentence)
    show()


def show() -> None:
    """Print what waits, if this is the main thread.

    A thread that holds the lock of standard error when Python ends would end it with an abort.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    while _waiting:
        line = _PREFIX + " ".join(_waiting.pop(0).split()) + "\n"
        # It may be closed, full, None, or the script's own object. Past its buffer: Python would
        # fail at the end of the script to write what is in there.
        with suppress(Exception):
            os.write(sys.stderr.fileno(), line.encode(errors="backslashreplace"))
