"""What this thread works on, for the log and the audit trail."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
cycle_id: contextvars.ContextVar[str] = contextvars.ContextVar("cycle_id", default="")
delivery_id: contextvars.ContextVar[str] = contextvars.ContextVar("delivery_id", default="")


@contextmanager
def about(cycle: object, delivery: object = "") -> Iterator[None]:
    """Put a cycle's id, and a delivery's, on the log records of the block."""
    tokens = (cycle_id.set(str(cycle)), delivery_id.set(str(delivery)))
    try:
        yield
    finally:
        cycle_id.reset(tokens[0])
        delivery_id.reset(tokens[1])
