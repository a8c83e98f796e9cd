"""What a cycle waits for: its open jobs with their due times, how the others ended, and what it adds when nothing is open any more."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from orbit.dispatch.judge import Closed
from orbit.records import fence
from orbit.states import Job


@dataclass(slots=True)
class Tally:
    """The jobs of one cycle: those still open with the moment (monotonic seconds) at which each is due, and how the others ended.

    Jobs ``aside`` are sent like all others and not counted: requeued ones of a cycle that still runs. At ``ends`` (monotonic seconds) the
    cycle stops waiting for those that are open. Those in ``flying`` are under way, and are counted as due by nobody.
    """

    open: dict[UUID, float] = field(default_factory=dict)
    flying: set[UUID] = field(default_factory=set)
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    aside: set[UUID] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    ends: float = math.inf

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.open) + self.delivered + self.dead + self.cancelled

    def take(self, item: Closed) -> None:
        """Count the end of an attempt."""
        job = item.sending.job_id
        self.flying.discard(job)
        if item.move.status == Job.PENDING:
            self.open[job] = time.monotonic() + (item.move.wait or 0.0)
            return
        self.open.pop(job, None)
        if job in self.aside:
            return
        if item.move.status == Job.DELIVERED:
            self.delivered += 1
        elif item.move.status == Job.DEAD:
            self.dead += 1
        else:
            self.cancelled += 1

    def wait(self) -> float:
        """Seconds until the next open job is due; zero or less when one is."""
        return min(self._waiting(), default=math.inf) - time.monotonic()

    def _waiting(self) -> list[float]:
        return [at for job, at in self.open.items() if job not in self.flying]

    def due(self) -> int:
        """How many open jobs are due."""
        now = time.monotonic()
        return sum(at <= now for at in self._waiting())

    def next_wait(self) -> float:
        """Seconds until the next open job comes due that isn't yet; infinite where all are."""
        now = time.monotonic()
        return min((at - now for at in self._waiting() if at > now), default=math.inf)

    def gather(self, seconds: float) -> float:
        """Seconds until the last of those is due that are due within ``seconds``: they failed together, and go again in one wave."""
        now = time.monotonic()
        return max((at - now for at in self._waiting() if at - now <= seconds), default=0.0)

    def begin(self, age: float = 0.0) -> None:
        """Note that the stage began ``age`` seconds ago: from then on the time runs that it may take."""
        self.began = time.monotonic() - age
        self.ends = self.began + settings.ORBIT_DISPATCH_DEADLINE_SECONDS

    def left(self) -> float:
        """Seconds until the cycle stops waiting."""
        return self.ends - time.monotonic()


@dataclass(frozen=True, slots=True)
class Ending:
    """What the cycle adds to the write that closes its last job: the statement that can hold both, and the rows.

    ``add_to`` takes the seconds after which the cycle is due for jobs that outlive it, None where none does.
    """

    sql: str
    add_to: Callable[[fence.FencedWrite, Tally, float | None], None]
