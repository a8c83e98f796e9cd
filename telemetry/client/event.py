"""Makes events: UUIDv7, UTC time, cleaned fields."""

import json
import os
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from . import values

Event = dict[str, Any]
_MAX_STAGE = 50


class _Ids:
    """UUIDv7 of this process, each greater than the one before (RFC 9562, section 6.2)."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._last = 0

    def new(self) -> str:
        with self._lock:
            # 48 bits of milliseconds, and 12 bits of the fraction as the counter.
            stamp = time.time_ns() * 4096 // 1_000_000
            self._last = stamp = max(stamp, self._last + 1)
        high = (stamp >> 12 & (1 << 48) - 1) << 16 | 7 << 12 | stamp & 0xFFF
        low = 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2
        return str(uuid.UUID(int=high << 64 | low))

    def after_fork(self) -> None:
        """In a child: another thread of the parent may hold the lock."""
        self._lock = threading.RLock()


_ids = _Ids()
new_id = _ids.new
os.register_at_fork(after_in_child=_ids.after_fork)


def now() -> str:
    """Return the time in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def build(
    name: str,
    *,
    session: str | None,
    task: str | None,
    namespace: str | None = None,
    stage: object = None,
    level: str = "info",
    duration_ms: float | None = None,
    metadata: dict[str, Any] | None = None,
) -> Event:
    """Return an event of now. What isn't set has no key."""
    event: Event = {
        "id": new_id(),
        "name": name,
        "occurred_at": now(),
        "namespace": namespace or None,
        "session_id": session,
        "task_id": task,
        "stage": None if stage is None else values.name(stage, _MAX_STAGE),
        "level": level,
        "duration_ms": duration_ms,
        "metadata": values.metadata(metadata or {}),
    }
    return {key: value for key, value in event.items() if value is not None}


def line(event: Event) -> bytes:
    """Return ``event`` as a line of NDJSON."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
