"""Time-ordered identifiers: UUID version 7 (RFC 9562, section 5.7, with the counter of method 1 in section 6.2)."""

import os
import threading
import time
import uuid
from datetime import UTC, datetime

_lock = threading.Lock()
_last_ms = 0
_counter = 0
_RAND_A = 12


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Ids made by one process are strictly increasing, so rows written together keep their order.
    """
    global _last_ms, _counter
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_ms:
            _last_ms, _counter = now, os.urandom(1)[0]
        else:
            # The clock stood or went back: count on, and borrow the next millisecond when the counter is full.
            _counter += 1
            if _counter >= 1 << _RAND_A:
                _last_ms, _counter = _last_ms + 1, 0
        ms, counter = _last_ms, _counter
    value = (ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=value)


def uuid7_floor(moment: datetime) -> uuid.UUID:
    """Return the smallest id with the timestamp ``moment``: a bound for ranges and partitions."""
    ms = int(moment.timestamp() * 1000)
    return uuid.UUID(int=(ms & ((1 << 48) - 1)) << 80)


def uuid7_time(value: uuid.UUID) -> datetime:
    """Return the moment that ``value`` carries, in UTC."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)
