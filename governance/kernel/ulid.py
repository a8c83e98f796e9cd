"""ULIDs: ids of 26 characters that sort by time, such as those of conductor runs.

Ten characters of milliseconds and sixteen of randomness, in Crockford's base 32.
"""

import os
import re
import threading
from datetime import datetime
from uuid import UUID

from governance.kernel import clock, identifiers

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
#: Capitals; `check` takes small letters too.
PATTERN = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_TEXT = re.compile(PATTERN, re.ASCII)
_TO_DIGITS = str.maketrans(ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_RANDOM_BITS, _STEP_BITS = 80, 48
# A database whose clock goes back further was wrong before: the ids follow it.
_LARGEST_STEP_BACK_MS = 10_000
_lock = threading.Lock()
_last = 0


def make() -> str:
    """Return a new ULID. Those of one process increase, even if the clock goes back a bit."""
    global _last
    with _lock:
        ms = int(clock.timestamp() * 1000)
        if ms <= _last >> _RANDOM_BITS <= ms + _LARGEST_STEP_BACK_MS:
            # A random step: two processes forked from one must not count on in the same way.
            _last += 1 + int.from_bytes(os.urandom(_STEP_BITS // 8), "big")
        else:
            _last = ms << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
        return encode(_last, LENGTH)


def check(text: str) -> str:
    """Return the ULID ``text`` in capitals. Raises ValueError."""
    capitals = text.upper()
    # Capitals of some other letters are ASCII.
    if not text.isascii() or not _TEXT.fullmatch(capitals):
        raise ValueError("must be a ULID: 26 digits and letters, without I, L, O and U")
    return capitals


def encode(number: int, length: int) -> str:
    """Return ``number`` in base 32, ``length`` characters long."""
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(length - 1, -1, -1))


def to_uuid(text: str) -> UUID:
    """Return the UUID with the 128 bits of a ULID. Raises ValueError."""
    return UUID(int=int(check(text).translate(_TO_DIGITS), 32))


def moment_of(text: str) -> datetime | None:
    """Return the time in a ULID; None if the text isn't one, or has no time."""
    try:
        return identifiers.moment_of(to_uuid(text))
    except ValueError:
        return None
