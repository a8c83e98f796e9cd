"""The ids of a cycle's trace: derived, so that the spans of all processes join.

Format: https://www.w3.org/TR/trace-context/
"""

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
#: What identifies a span within its trace: () is the cycle.
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a cycle: its caller's, or its own."""

    cycle_id: UUID
    id: int
    #: The caller's span, if the trigger named one.
    caller: int | None = None
    #: Whether the caller keeps the trace; None: it didn't say.
    sampled: bool | None = None

    def span_id(self, key: Key) -> int:
        """Return the id of the span ``key``: the same in every process."""
        text = "\0".join((str(self.cycle_id), *map(str, key)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") or 1

    def header(self, key: Key, *, sampled: bool) -> str:
        """Return the ``traceparent`` of a request that the span ``key`` sends."""
        return f"00-{self.id:032x}-{self.span_id(key):016x}-{int(sampled):02x}"


def of_cycle(cycle_id: UUID, traceparent: str | None) -> Trace:
    """Return the trace of a cycle that was triggered with ``traceparent``."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        # An operator can look it up by the cycle's id.
        return Trace(cycle_id, cycle_id.int)
    sampled = bool(int(match[4], 16) & _SAMPLED)
    return Trace(cycle_id, int(match[2], 16), int(match[3], 16), sampled)


def accepted(received: str | None) -> str | None:
    """Return a caller's ``traceparent`` to keep; None if it is none."""
    match = _TRACEPARENT.fullmatch((received or "").strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    if not int(match[2], 16) or not int(match[3], 16):
        return None
    return f"00-{match[2]}-{match[3]}-{match[4]}"
