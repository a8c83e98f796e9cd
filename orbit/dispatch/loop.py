"""Send the jobs of one cycle in waves, each as large as the free senders allow.

The first wave may have begun in the write that enqueued the jobs (``first_wave``).

The slot's thread owns the database; senders only send. After a crash, receipts of lost answers
still say ``sending``, and the next worker closes them as unknown.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from orbit import interrupts
from orbit.dispatch import attempt, claim, receipts
from orbit.dispatch.attempt import AttemptResult
from orbit.dispatch.claim import ClaimedJob, ClaimResult
from orbit.dispatch.in_flight import InFlight
from orbit.dispatch.job_progress import JobProgress
from orbit.dispatch.state import DispatchState
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced

BEAT_SECONDS = 1.0
# After this time without an answer, the next wave starts beside the stragglers.
STRAGGLER_SECONDS = 0.05
# Retries that are due this soon after the first one go with it.
TOGETHER_SECONDS = 0.05
# When a due job could not be claimed: the gate is closed, or the clocks differ.
LOOK_AGAIN_SECONDS = 0.5
# An endpoint that has its share of the senders usually gives its first answer within this time.
FIRST_ANSWER_SECONDS = 0.02
# A slot sleeps through this much in all; then the cycle is given back.
SLEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The stage is over, and nothing is in flight."""

    #: Not written: close them with the cycle, in one statement.
    results: Sequence[AttemptResult] = ()
    #: The stage's time is over with jobs still open. They are due in this many seconds.
    due_in: float | None = None


@dataclass(frozen=True, slots=True)
class _Wait:
    seconds: float
    #: A slot may sleep through it.
    is_short: bool
    #: Cycles wait for it in an endpoint's queue.
    is_queued: bool = False


def run(
    cycle: ClaimedCycle,
    progress: JobProgress,
    *,
    state: DispatchState,
    worker: str,
    begun: Sequence[ClaimedJob] = (),
) -> Finished | float:
    """Send due jobs. Return the seconds until the next ones, or Finished.

    ``begun``: of ``first_wave``, each with its sender. Raises Fenced, SendersHung, and Interrupted
    before a wave.
    """
    with InFlight(cycle, state.senders) as in_flight:
        return _Loop(cycle, progress, state, worker, in_flight).run(begun)


@dataclass(slots=True)
class _Loop:
    cycle: ClaimedCycle
    progress: JobProgress
    state: DispatchState
    worker: str
    in_flight: InFlight
    #: Claim again while requests are in flight, but not before then (monotonic).
    again_at: float = 0.0
    #: Seconds slept.
    slept: float = 0.0
    straggling: bool = False
    #: The last results, not written.
    last: Sequence[AttemptResult] = field(default_factory=tuple)

    def run(self, begun: Sequence[ClaimedJob]) -> Finished | float:
        if begun:
            self._send(begun)
            # What the first wave left out is due too.
            self.straggling = True
        while self.progress.open:
            if not self.in_flight.count:
                pause = self._before_wave()
                if pause is not None:
                    return pause
            if self._may_claim():
                claimed = self._claim_and_send()
                if claimed is not None and not (claimed.jobs or claimed.expired or claimed.adopted):
                    wait = self._wait_for(claimed)
                    if wait is not None:
                        return wait
            elif not self.in_flight.count:
                # The lease may have expired: the next claim tells.
                return 0.0
            if self.in_flight.count:
                self._collect()
        return Finished(self.last)

    def _before_wave(self) -> Finished | float | None:
        """Return why no wave may start now; None if one may."""
        # Check for a stop before the deadline: a stopped cycle's clock doesn't run.
        interrupts.check()
        if self.cycle.begun:
            return None  # on record as being sent
        if self._is_cleared():
            return 0.0
        if self.progress.left() <= 0:
            return Finished(due_in=max(0.0, self.progress.wait()))
        if self.progress.wait() > TOGETHER_SECONDS:
            return min(self.progress.wait(), self.progress.left())
        with fence.away():
            time.sleep(max(0.0, self.progress.gather(TOGETHER_SECONDS)))
        return None

    def _is_cleared(self) -> bool:
        """Return whether the cycle need not run alone any more: others wait for this process."""
        return interrupts.process.alone and self.cycle.resumes < fence.ALONE_FROM

    def _may_claim(self) -> bool:
        """Return whether to claim. Raises Interrupted."""
        is_next_wave = self.straggling and self.progress.due() and time.monotonic() >= self.again_at
        if self.in_flight.count and (not is_next_wave or self._is_cleared()):
            return False
        try:
            interrupts.check()
        except interrupts.Interrupted:
            if self.in_flight.count:
                return False
            raise
        return interrupts.slot().holds

    def _claim_and_send(self) -> ClaimResult | None:
        """Claim and send a wave. None: no sender is free, or no database."""
        if not self.in_flight.count:
            interrupts.act(settings.ORBIT_LEASE_SECONDS)
        with fence.away():
            count = self.state.senders.take(
                max(1, self.progress.due()), timeout=0.0 if self.in_flight.count else 1.0
            )
        if not count:
            return None
        try:
            claimed = self._claim(count)
        except Fenced:
            self._save_late_successes()
            raise
        except fence.AWAY:
            if not self.in_flight.count:
                raise
            # The pending answers exist only in this process, so they come first. The next claim
            # finds what this one began, if it happened.
            connection.close()
            self.again_at = time.monotonic() + LOOK_AGAIN_SECONDS
            return None
        if claimed.jobs:
            # First: their senders are taken, and their receipts say that they are being sent.
            self._send(claimed.jobs)
        if claimed.expired:
            self._save([attempt.expire(job) for job in claimed.expired])
        return claimed

    def _send(self, jobs: Sequence[ClaimedJob]) -> None:
        self.progress.in_flight.update(job.job_id for job in jobs)
        self.in_flight.send(jobs)

    def _claim(self, count: int) -> ClaimResult:
        """Claim jobs for ``count`` senders; give unused ones back."""
        senders, read_at = self.state.senders, interrupts.now()
        try:
            claimed = claim.claim(
                self.cycle,
                limit=count,
                worker=self.worker,
                endpoints=self.state.endpoints,
                full=senders.full(),
            )
        except BaseException:
            senders.give_back(count)
            raise
        if claimed.jobs and not claimed.adopted:
            # The claim itself checked the gate.
            interrupts.slot().saw(is_open=True, read_at=read_at)
        senders.give_back(count - len(claimed.jobs))
        senders.begin(job.state_id for job in claimed.jobs)
        return claimed

    def _collect(self) -> None:
        with fence.away():
            results = self.in_flight.collect(
                STRAGGLER_SECONDS if self.progress.due() else BEAT_SECONDS
            )
        self.straggling = not results
        if results:
            self._save(results)

    def _save(self, results: Sequence[AttemptResult]) -> None:
        self.progress.count_results(results)
        if not self.progress.open:
            # The caller closes the last ones with the cycle: one commit instead of two.
            self.last = results
            return
        try:
            receipts.save(self.cycle, results)
        except Fenced:
            self._save_late_successes()
            raise

    def _save_late_successes(self) -> None:
        # Another worker has the cycle, but only this process gets the 2xx of its own requests.
        while self.in_flight.count:
            if results := self.in_flight.collect(BEAT_SECONDS):
                receipts.save_late_successes(self.cycle, results)

    def _wait_for(self, claimed: ClaimResult) -> float | None:
        """Return the seconds to give the cycle back for; None to go on."""
        wait = self._shortest_wait(claimed)
        most = min(self.progress.left(), self.progress.next_wait())
        if self.in_flight.count:
            self.again_at = time.monotonic() + min(wait.seconds, most)
            return None
        seconds = wait.seconds
        if wait.is_queued and claimed.limited is not None and seconds < most:
            seconds = self.state.queue.join(claimed.limited, seconds)
        seconds = min(seconds, most)
        self.slept += seconds
        if wait.is_short and self.slept <= SLEEP_SECONDS and self.state.sleep(seconds):
            return None
        return seconds

    def _shortest_wait(self, claimed: ClaimResult) -> _Wait:
        waits: list[_Wait] = []
        if claimed.wait is not None:
            is_queued = claimed.limited is not None
            waits.append(_Wait(claimed.wait, is_short=not is_queued, is_queued=is_queued))
        if claimed.shared:
            silent = self.state.senders.silent_seconds()
            if silent is None:
                waits.append(_Wait(FIRST_ANSWER_SECONDS, is_short=True))
            else:
                # The longer it hangs, the less often to ask. Random, so that waiters spread.
                seconds = random.uniform(silent, 3 * silent)  # noqa: S311 - guards nothing
                waits.append(_Wait(seconds, is_short=False))
        return min(
            waits,
            key=lambda wait: wait.seconds,
            default=_Wait(LOOK_AGAIN_SECONDS, is_short=False),
        )
