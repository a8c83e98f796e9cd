"""What cycles wait for: a worker, an endpoint, a retry, a stop, a lease, their turn."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings

from governance.kernel import sql
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit.cycles import namespace_queue
from orbit.models import CycleRun
from orbit.records.fence import ALONE_FROM
from orbit.states import Cycle

OPEN_WORK = sql.load(__name__, "open_work")
_ALONE = "it was resumed without progress and runs alone, after others of its kind"


class Kind(StrEnum):
    """What a cycle waits for."""

    QUEUE = "queue"
    STOP = "stop"
    WORKER = "worker"
    LEASE = "lease"
    RETRY = "retry"
    BREAKER = "breaker"
    ENDPOINT = "endpoint"
    #: For nothing: a worker runs it.
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a cycle waits for: ``text`` ends a sentence, and is empty if it waits for nothing."""

    kind: Kind
    text: str = ""
    #: When it is over at the earliest, or is looked at again.
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Open deliveries of one cycle to one endpoint; without ``endpoint_key`` its open tiers."""

    endpoint_key: str | None
    #: Requests without an answer yet, and attempts that are due.
    sending: int = 0
    due: int = 0
    retry_at: datetime | None = None
    #: Since when the endpoint's breaker is open, and its next probe.
    opened_at: datetime | None = None
    probe_at: datetime | None = None


def of(cycles: Sequence[CycleRun], *, now: datetime) -> dict[UUID, Wait]:
    """Return what each unfinished cycle waits for, with others that have open deliveries.

    At most five queries for any number of cycles; give it a page of them.
    """
    waiting = [cycle for cycle in cycles if cycle.next_due_at or cycle.status == Cycle.QUEUED]
    queued = [cycle for cycle in waiting if cycle.status == Cycle.QUEUED]
    others = [cycle for cycle in waiting if cycle.status != Cycle.QUEUED]
    waits = {
        cycle_id: Wait(Kind.QUEUE, text)
        for cycle_id, text in namespace_queue.waits_for(queued).items()
    }
    if others:
        stops = gate.refusals({cycle.namespace_id for cycle in others})
        work: dict[UUID, list[OpenWork]] = defaultdict(list)
        for cycle_id, *row in OPEN_WORK.rows(cycles=[cycle.pk for cycle in others], moment=now):
            work[cycle_id].append(OpenWork(*row))
        waits |= {
            cycle.pk: decide(cycle, work[cycle.pk], stop=stops.get(cycle.namespace_id), now=now)
            for cycle in others
        }
    return waits


def decide(
    cycle: CycleRun, work: Sequence[OpenWork], *, stop: OrbitError | None, now: datetime
) -> Wait:
    """Return what a cycle that isn't queued waits for."""
    # A drain lets running cycles finish.
    if stop is not None and not isinstance(stop, gate.NamespaceDraining):
        return Wait(Kind.STOP, stop.detail.rstrip("."))
    if cycle.lease_expires_at is not None:
        lease = _lease(cycle, cycle.lease_expires_at, now)
        return lease or _sending(work) or _retry(work, now) or Wait(Kind.NOTHING)
    if cycle.status == Cycle.PENDING:
        return Wait(Kind.WORKER, "no worker has taken it yet")
    return _retry(work, now) or _held(cycle, work, now) or _for_a_worker(cycle)


def seconds_until(moment: datetime, now: datetime) -> int:
    """Return the whole seconds until ``moment``, at least 1."""
    return max(1, round((moment - now).total_seconds()))


def _lease(cycle: CycleRun, expires_at: datetime, now: datetime) -> Wait | None:
    """Return the wait for a lease whose owner is silent: it renews three times a lease."""
    seconds = settings.ORBIT_LEASE_SECONDS
    renewed_at = expires_at - timedelta(seconds=seconds)
    if expires_at >= now:
        if now - renewed_at < timedelta(seconds=seconds * 2 / 3):
            return None
        text = (
            f"its worker has not renewed its lease since {_time(renewed_at)}; "
            f"another one takes over at {_time(expires_at)}"
        )
    elif cycle.resumes >= ALONE_FROM:
        text = f"its worker has been silent since {_time(expires_at)}; {_ALONE}"
    else:
        text = f"its worker has been silent since {_time(expires_at)}; another one will take over"
    return Wait(Kind.LEASE, text, expires_at)


def _sending(work: Sequence[OpenWork]) -> Wait | None:
    requests = sum(part.sending for part in work)
    if not requests:
        return None
    keys = _keys([part for part in work if part.sending])
    number = "1 request is" if requests == 1 else f"{requests} requests are"
    return Wait(Kind.ENDPOINT, f"it waits for an answer of {keys} ({number} under way)")


def _retry(work: Sequence[OpenWork], now: datetime) -> Wait | None:
    later = {part.retry_at: part for part in work if part.retry_at is not None}
    if not later or any(part.due or part.sending for part in work):
        return None
    first = min(later)
    key = later[first].endpoint_key
    where = f" to {key}" if key else ""
    return Wait(Kind.RETRY, f"the next retry{where} is due in {seconds_until(first, now)} s", first)


def _held(cycle: CycleRun, work: Sequence[OpenWork], now: datetime) -> Wait | None:
    held = [part for part in work if part.endpoint_key and part.due]
    if not held or cycle.next_due_at is None or cycle.next_due_at <= now:
        return None
    down = [part for part in held if part.opened_at]
    if down:
        since = min(part.opened_at for part in down if part.opened_at)
        probe = min((part.probe_at for part in down if part.probe_at), default=cycle.next_due_at)
        text = f"the breaker of {_keys(down)} is open since {_time(since)}"
        return Wait(Kind.BREAKER, f"{text}, next probe in {seconds_until(probe, now)} s", probe)
    seconds = seconds_until(cycle.next_due_at, now)
    text = f"waiting for {_keys(held)} (at its limit); next check in {seconds} s"
    return Wait(Kind.ENDPOINT, text, cycle.next_due_at)


def _for_a_worker(cycle: CycleRun) -> Wait:
    text = f"it waits: {_ALONE}" if cycle.resumes >= ALONE_FROM else "it waits for a worker"
    return Wait(Kind.WORKER, text)


def _keys(work: Sequence[OpenWork]) -> str:
    return ", ".join(sorted({part.endpoint_key for part in work if part.endpoint_key}))


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
