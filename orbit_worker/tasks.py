"""A task that this worker holds."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Task:
    """A claimed task. ``is_lost``: its lease is over, another worker may have it; stop."""

    id: str
    name: str
    input: Any
    attempt: int
    lease_token: str
    #: When the lease is over, by ``time.monotonic()``.
    held_until: float
    _lost: threading.Event = field(default_factory=threading.Event)

    @property
    def is_lost(self) -> bool:
        """Whether the outcome would be refused."""
        return self._lost.is_set() or time.monotonic() >= self.held_until

    def lose(self) -> None:
        """Say that another worker may have it."""
        self._lost.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the work on a task ended: with ``output``, or with ``error``."""

    task: Task
    output: Any = None
    error: str | None = None
