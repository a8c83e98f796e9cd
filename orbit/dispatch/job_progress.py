"""A cycle's open jobs, and how the others ended."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from orbit.dispatch.attempt import AttemptResult
from orbit.states import Job


@dataclass(slots=True)
class JobProgress:
    """The jobs of one cycle. Times are monotonic seconds."""

    #: When each open job is due.
    open: dict[UUID, float] = field(default_factory=dict)
    #: Open jobs whose request is out; they are not due.
    in_flight: set[UUID] = field(default_factory=set)
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    #: Requeued jobs: sent, but no part of the cycle's outcome.
    uncounted: set[UUID] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    #: When the cycle stops waiting for open jobs.
    ends: float = math.inf

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.open) + self.delivered + self.dead + self.cancelled

    def count_results(self, results: Sequence[AttemptResult]) -> None:
        """Count the ends of attempts."""
        for result in results:
            self._count(result)

    def _count(self, result: AttemptResult) -> None:
        job_id, status = result.job.job_id, result.transition.status
        self.in_flight.discard(job_id)
        if status == Job.PENDING:
            self.open[job_id] = time.monotonic() + (result.transition.wait or 0.0)
            return
        self.open.pop(job_id, None)
        if job_id in self.uncounted:
            return
        if status == Job.DELIVERED:
            self.delivered += 1
        elif status == Job.DEAD:
            self.dead += 1
        else:
            self.cancelled += 1

    def wait(self) -> float:
        """Return the seconds until the next open job is due."""
        return min(self._due_times(), default=math.inf) - time.monotonic()

    def due(self) -> int:
        """Return how many open jobs are due."""
        now = time.monotonic()
        return sum(at <= now for at in self._due_times())

    def next_wait(self) -> float:
        """Return the seconds until one more open job is due."""
        now = time.monotonic()
        return min((at - now for at in self._due_times() if at > now), default=math.inf)

    def gather(self, seconds: float) -> float:
        """Return the seconds until the last job due within ``seconds``."""
        # Jobs that failed together are retried in one wave.
        now = time.monotonic()
        return max((at - now for at in self._due_times() if at - now <= seconds), default=0.0)

    def begin(self, age: float = 0.0) -> None:
        """Start the stage's deadline; the stage began ``age`` seconds ago."""
        self.began = time.monotonic() - age
        self.ends = self.began + settings.ORBIT_DISPATCH_DEADLINE_SECONDS

    def left(self) -> float:
        """Return the seconds until the cycle stops waiting."""
        return self.ends - time.monotonic()

    def _due_times(self) -> list[float]:
        return [at for job_id, at in self.open.items() if job_id not in self.in_flight]
