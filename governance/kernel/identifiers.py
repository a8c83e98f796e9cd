"""Time-ordered ids: UUID version 7 (RFC 9562, sections 5.7 and 6.2, method 1).

Their time is the database's: rows live in the partition of their id, and lists are in its order.
"""

import itertools
import os
import struct
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from governance.kernel import clock

_COUNTER_BITS, _TAIL_BITS = 26, 48
# Random numbers are read in blocks: each read is a system call, and lets another thread run. Two
# threads never take the same one, because next() is atomic.
_BLOCK_BYTES = 4096
_random: Iterator[tuple[int]] = iter(())
# next() is atomic, so no lock is needed. The counter starts at random and wraps after 67 million.
_count = itertools.count(int.from_bytes(os.urandom(3), "big"))
_last_ms = 0
# A clock that goes back further was wrong before: the ids follow it, so that one wrong reading
# doesn't spoil all later ids.
_LARGEST_STEP_BACK_MS = 10_000


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7. The ids of one thread increase, even if the clock goes back a bit."""
    return uuid.UUID(int=_number())


def uuid7_text() -> str:
    """Return a new UUIDv7 as 32 hex digits."""
    return f"{_number():032x}"


def _number() -> int:
    global _last_ms
    ms = int(clock.timestamp() * 1000)
    if ms < _last_ms <= ms + _LARGEST_STEP_BACK_MS:
        ms = _last_ms
    _last_ms = ms
    rest = (next(_count) & ((1 << _COUNTER_BITS) - 1)) << _TAIL_BITS | _random_tail()
    # 48 bits of milliseconds; then 74 bits of counter and random, split by version and variant.
    return (
        (ms & ((1 << 48) - 1)) << 80
        | 0x7 << 76
        | (rest >> 62) << 64
        | 0b10 << 62
        | rest & ((1 << 62) - 1)
    )


def _random_tail() -> int:
    global _random
    while True:
        for (number,) in _random:
            return number & ((1 << _TAIL_BITS) - 1)
        _random = struct.iter_unpack("Q", os.urandom(_BLOCK_BYTES))


def _forget_random() -> None:
    # A forked child must not use its parent's numbers.
    global _random
    _random = iter(())


os.register_at_fork(after_in_child=_forget_random)


def uuid7_floor(moment: datetime) -> uuid.UUID:
    """Return the smallest id of ``moment``, as a bound for ranges and partitions."""
    ms = int(moment.timestamp() * 1000)
    return uuid.UUID(int=(ms & ((1 << 48) - 1)) << 80)


def moment_of(id_: uuid.UUID) -> datetime | None:
    """Return the time in an id that begins with milliseconds, as a UUIDv7 or a ULID does.

    None if there is no such time: ids of callers may begin with anything.
    """
    try:
        return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
