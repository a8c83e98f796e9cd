"""Time-ordered identifiers: UUID version 7 (RFC 9562, sections 5.7 and 6.2, method 1)."""

import itertools
import os
import time
import uuid
from datetime import UTC, datetime

_COUNTER_BITS, _TAIL_BITS = 26, 48
# A step of a count is atomic, so no lock is needed. It starts anywhere and wraps after 67 million.
_count = itertools.count(int.from_bytes(os.urandom(3), "big"))
_last_ms = 0


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, a 26-bit counter, 48 random bits.

    The ids of one thread increase, so rows written together keep their order. If the clock goes
    back, its latest time is used.
    """
    return uuid.UUID(int=_number())


def uuid7_text() -> str:
    """Return a new UUIDv7 as 32 hex digits, for rows that are written as text."""
    return f"{_number():032x}"


def _number() -> int:
    global _last_ms
    ms = _last_ms = max(_last_ms, time.time_ns() // 1_000_000)
    rest = (next(_count) & ((1 << _COUNTER_BITS) - 1)) << _TAIL_BITS | int.from_bytes(
        os.urandom(6), "big"
    )
    # The version (4 bits after 12) and the variant (2 bits) split the 74 bits after the time.
    return (
        (ms & ((1 << 48) - 1)) << 80
        | 0x7 << 76
        | (rest >> 62) << 64
        | 0b10 << 62
        | rest & ((1 << 62) - 1)
    )


def uuid7_floor(moment: datetime) -> uuid.UUID:
    """Return the smallest id with the timestamp ``moment``: a bound for ranges and partitions."""
    ms = int(moment.timestamp() * 1000)
    return uuid.UUID(int=(ms & ((1 << 48) - 1)) << 80)


def uuid7_time(value: uuid.UUID) -> datetime:
    """Return the moment that ``value`` carries, in UTC."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)
