"""Stage 4, second half: the jobs of one cycle, sent side by side, in waves no larger than the free sender threads.

The lane's thread owns the database; sender threads only send. An answer is written as soon as it is in, together with those that came
while the write before it ran. A wave waits for no straggler: while one receiver hangs, the cycle's other jobs go on. Waiting for a retry
holds no worker: the caller gives the lease back until then.
"""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.conf import settings
from django.db import connection

from orbit import interrupts
from orbit.dispatch import claim, guarded, judge, receipts
from orbit.dispatch import senders as pools
from orbit.dispatch.claim import Sending
from orbit.dispatch.flight import Flight
from orbit.dispatch.guarded import Taken
from orbit.dispatch.judge import Closed
from orbit.dispatch.senders import Senders
from orbit.dispatch.tally import Ending, Tally
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced

BEAT_SECONDS = 1.0
# After so long without an answer the rest of a wave are stragglers: the next wave goes out beside them.
STRAGGLER_SECONDS = 0.05
# Retries that are due this soon after the first one go with it.
TOGETHER_SECONDS = 0.05
# A due job that the claim did not take: the gate is closed, or the clocks differ.
LOOK_AGAIN_SECONDS = 0.5
# A due job whose receiver has its share of the senders: for the first answer, and where it hangs from one to three times as long as it has,
# so that those who wait for it ask less and less often.
FIRST_SECONDS = 0.02
# Waits for a cap that are shorter together are slept through, in no more than some of the lanes; then the cycle is given back. A lane that
# rested for ever would hold its shift, and with it every other task of its worker.
REST_SECONDS = 1.0
_resting = threading.BoundedSemaphore(max(1, settings.ORBIT_CONCURRENCY // 2))


@dataclass(slots=True)
class _Delivering:
    """One carrying of a cycle's deliveries: what is under way, and when it is worth asking for more."""

    work: ClaimedCycle
    tally: Tally
    ending: Ending
    worker: str
    flight: Flight
    senders: Senders = field(default_factory=pools.pool)
    again_at: float = 0.0
    rested: float = 0.0
    straggling: bool = False

    def may_claim(self) -> bool:
        """Tell whether a wave may go out now. Raises Stop where nothing is under way that has to be waited for."""
        if self.flight.left and not (
            self.straggling and self.tally.due() and time.monotonic() >= self.again_at
        ):
            return False
        try:
            interrupts.check()
        except interrupts.Interrupted:
            if self.flight.left:
                return False
            raise
        return interrupts.slot().holds

    def claim(self) -> Taken | None:
        """Claim and send a wave; None where no sender is free, or the database is away while answers are awaited."""
        if not self.flight.left:
            interrupts.act(settings.ORBIT_LEASE_SECONDS)
        count = self.senders.take(
            max(1, self.tally.due()), timeout=0.0 if self.flight.left else 1.0
        )
        if not count:
            return None
        try:
            found = _claim(self.work, count, self.worker, self.senders)
        except Fenced:
            self.bring_home()
            raise
        except fence.AWAY:
            if not self.flight.left:
                raise
            # What is under way is known here alone: its answers come first. A claim that did happen is found by whoever looks next.
            connection.close()
            self.again_at = time.monotonic() + LOOK_AGAIN_SECONDS
            return None
        if found.sendings:
            # First: their senders are taken, and their receipts say that they are on their way.
            self.tally.flying.update(sending.job_id for sending in found.sendings)
            self.flight.launch(found.sendings, self.senders)
        if found.expired:
            self.close([judge.expired(sending) for sending in found.expired])
        return found

    def land(self) -> None:
        """Take in the answers that came, and write them."""
        came = self.flight.land(STRAGGLER_SECONDS if self.tally.due() else BEAT_SECONDS)
        self.straggling = not came
        if came:
            self.close(came)

    def close(self, closed: list[Closed]) -> None:
        try:
            close(self.work, closed, self.tally, self.ending)
        except Fenced:
            self.bring_home()
            raise

    def bring_home(self) -> None:
        """The cycle is another's; a 2xx that is still to come is ours to write."""
        while self.flight.left:
            if came := self.flight.land(BEAT_SECONDS):
                receipts.bring_home(self.work, came)

    def pause(self, found: Taken) -> float | None:
        """Wait for what the claim did not get; return the seconds to give the cycle back for, None where the wait is over or answers are awaited."""
        short, wait, line = self._wait(found)
        most = min(self.tally.left(), self.tally.next_wait())
        if self.flight.left:
            self.again_at = time.monotonic() + min(wait, most)
            return None
        if line is not None and wait < most:
            wait = guarded.line_up(line, wait)
        wait = min(wait, most)
        self.rested += wait
        return wait if not short or self.rested > REST_SECONDS or not _rest(wait) else None

    def _wait(self, found: Taken) -> tuple[bool, float, UUID | None]:
        """Return whether the wait is one that a lane may sleep through, its seconds, and the receiver whose line it is to join."""
        waits: list[tuple[bool, float, UUID | None]] = []
        if found.wait is not None:
            waits.append((found.line is None, found.wait, found.line))
        if found.shared:
            silence = self.senders.silence()
            # Where nobody hangs, for the first answer; else each at another time, so that they don't come back all at once.
            hang = None if silence is None else random.uniform(silence, 3 * silence)  # noqa: S311 - guards nothing
            waits.append((True, FIRST_SECONDS, None) if hang is None else (False, hang, None))
        return min(waits, key=lambda found: found[1], default=(False, LOOK_AGAIN_SECONDS, None))


def run(work: ClaimedCycle, tally: Tally, ending: Ending, *, worker: str) -> float | None:
    """Send what is due of ``tally``; return the seconds until there is more to do, or None when the ending is written.

    When the stage's time is over the ending is written with jobs still open: they go on outside of the cycle's active window. Raises Fenced,
    and Stop at the boundary before a wave. After a crash, attempts whose receipt says ``sending`` may have arrived.
    """
    this = _Delivering(work, tally, ending, worker, Flight(work))
    while tally.open:
        if not this.flight.left:
            # First: where nothing may go on the cycle doesn't end either, its time stands still.
            interrupts.check()
            if tally.left() <= 0:
                close(work, [], tally, ending, outlived=True)
                return None
            if tally.wait() > TOGETHER_SECONDS:
                return min(tally.wait(), tally.left())
            time.sleep(max(0.0, tally.gather(TOGETHER_SECONDS)))
        if this.may_claim():
            found = this.claim()
            if found is not None and not found.sendings and not found.expired:
                wait = this.pause(found)
                if wait is not None:
                    return wait
        elif not this.flight.left:
            # The lease may have run out.
            return 0.0
        if this.flight.left:
            this.land()
    return None


def _claim(work: ClaimedCycle, count: int, worker: str, senders: Senders) -> Taken:
    """Claim what ``count`` senders can carry; what caps and circuits hold back is looked at only where senders are left."""
    sendings: list[Sending] = []
    more = Taken()
    asked = interrupts.now()
    try:
        full = senders.full()
        sendings, rest = claim.wave(work, limit=count, worker=worker, full=full)
        more = Taken(wait=rest.wait, line=rest.receiver, shared=rest.shared)
        if rest.receiver is not None and rest.wait is None and len(sendings) < count:
            more = guarded.wave(work, limit=count - len(sendings), worker=worker, full=full)
            more = replace(more, shared=more.shared or rest.shared)
    except fence.AWAY:
        if not sendings:
            senders.give(count)
            raise
        # What the first claim took is on record as being sent: it is sent.
        connection.close()
    except BaseException:
        senders.give(count)
        raise
    sendings += more.sendings
    if sendings:
        # What was claimed was let through by the gate, in the statement that claimed it.
        interrupts.slot().saw(is_open=True, asked=asked)
    senders.give(count - len(sendings))
    senders.begin(sending.state_id for sending in sendings)
    return replace(more, sendings=sendings)


def _rest(wait: float) -> bool:
    """Sleep for ``wait`` seconds where few lanes do; tell whether it was done."""
    if not _resting.acquire(blocking=False):
        return False
    try:
        time.sleep(max(0.0, wait))
    finally:
        _resting.release()
    return True


def close(
    work: ClaimedCycle,
    closed: list[Closed],
    tally: Tally,
    ending: Ending,
    *,
    outlived: bool = False,
) -> None:
    """Write the ends of attempts, and with the last of them, or where open jobs have ``outlived`` the stage's time, the ending."""
    for item in closed:
        tally.take(item)
    write = fence.FencedWrite(work, ending.sql)
    receipts.add_to(write, closed)
    # Rows of the ending that stay empty cost nothing; one statement serves both.
    write.rows.update({"finishes": [], "ledger": []})
    if not tally.open:
        ending.add_to(write, tally, None)
    elif outlived:
        ending.add_to(write, tally, max(0.0, tally.wait()))
    receipts.commit(write, closed)
    for state_id in {
        item.sign.state_id
        for item in closed
        if item.sending.probe and item.sign is not None and item.sign.up
    }:
        try:
            guarded.wake(state_id)
        except fence.AWAY:
            # Those that wait find out by themselves. The wave goes on: answers to come are nowhere else.
            connection.close()
