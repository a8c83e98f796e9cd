"""A recorded delivery under another number of retries: pure."""

from dataclasses import dataclass
from uuid import UUID

from advisory.backtest.result import Range
from advisory.backtest.unknowns import Unknown
from orbit.dispatch import attempt, outcome
from orbit.states import Job

_EXHAUSTED = "retries_exhausted"
_OPEN = {Job.PENDING, Job.SENDING}


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """One delivery as it went, or ``number`` that went alike."""

    tier: int
    #: None: of several endpoints, all of which the patch keeps.
    endpoint_key: str | None
    status: Job
    requests: int
    #: Failed attempts that cost a retry.
    spent: int
    max_retries: int
    #: Why it is dead.
    reason: str = ""
    #: An attempt's outcome is unknown, or an inquiry replaced one.
    has_unknown: bool = False
    number: int = 1


@dataclass(frozen=True, slots=True)
class ReplayedDelivery:
    """A delivery as it would have gone."""

    #: None: unknown.
    delivered: bool | None
    dead: bool | None
    requests: Range
    #: Seconds between its attempts.
    wait: Range
    why: str = ""
    unknown: Unknown | None = None


def as_recorded(cycle_id: UUID, recorded: RecordedDelivery) -> ReplayedDelivery:
    """Return the delivery as it went."""
    waited = _waits(cycle_id, recorded, recorded.max_retries)[1]
    return ReplayedDelivery(
        recorded.status == Job.DELIVERED,
        recorded.status == Job.DEAD,
        Range.of(recorded.requests),
        Range.of(waited),
        unknown=Unknown.DELIVERY_OPEN if recorded.status in _OPEN else None,
    )


def replay(cycle_id: UUID, recorded: RecordedDelivery, retries: int | None) -> ReplayedDelivery:
    """Return how the delivery would have gone with ``retries`` (None: as many as it had)."""
    before = as_recorded(cycle_id, recorded)
    own = recorded.max_retries
    if retries is None or retries == own or recorded.spent == 0:
        return before
    exhausted = recorded.status == Job.DEAD and recorded.reason == _EXHAUSTED
    if retries > own:
        return _with_more(cycle_id, recorded, retries) if exhausted else before
    failures, waited = _waits(cycle_id, recorded, retries)
    ended_by_last = recorded.status == Job.DEAD and failures == recorded.spent
    if failures < retries + 1 or ended_by_last:
        return before  # it never came so far
    place = f"tier {recorded.tier} to {recorded.endpoint_key}"
    if recorded.has_unknown:
        why = f"the delivery of {place} would have used up its retries with an unknown outcome"
        return ReplayedDelivery(
            None if before.delivered else False,
            None,
            Range(min(failures, recorded.requests), recorded.requests),
            Range(waited, max(waited, before.wait.least)),
            why,
            Unknown.DELIVERY_INQUIRY,
        )
    needed = recorded.spent + (1 if before.delivered else 0)
    return ReplayedDelivery(
        False,
        True,
        Range.of(recorded.requests - (needed - failures)),
        Range.of(waited),
        f"the delivery of {place} took {needed} attempts, but would have had {retries + 1}",
    )


def _with_more(cycle_id: UUID, recorded: RecordedDelivery, retries: int) -> ReplayedDelivery:
    more = retries - recorded.max_retries
    place = f"tier {recorded.tier} to {recorded.endpoint_key}"
    return ReplayedDelivery(
        None,
        None,
        Range(recorded.requests + 1, recorded.requests + more),
        Range(
            _wait_until(cycle_id, recorded.endpoint_key, recorded.spent, retries),
            _wait_until(cycle_id, recorded.endpoint_key, retries, retries),
        ),
        f"the delivery of {place} used up its {recorded.max_retries} retries; more are allowed",
        Unknown.DELIVERY_EXHAUSTED,
    )


def _waits(cycle_id: UUID, recorded: RecordedDelivery, retries: int) -> tuple[int, float]:
    """Return how many failed attempts it has before it is dead or delivered, and what it waits."""
    waited = 0.0
    for spent in range(recorded.spent):
        seconds = _wait(cycle_id, recorded.endpoint_key, spent, retries)
        if seconds is None:
            return spent + 1, waited
        if recorded.status == Job.DEAD and spent == recorded.spent - 1:
            break  # its last attempt ended it
        waited += seconds
    return recorded.spent, waited


def longest_wait(cycle_id: UUID, endpoint_key: str, retries: int) -> float:
    """Return the seconds that a delivery waits between its attempts if it needs all of them."""
    return _wait_until(cycle_id, endpoint_key, retries, retries)


def _wait_until(cycle_id: UUID, endpoint_key: str | None, spent: int, retries: int) -> float:
    waits = (_wait(cycle_id, endpoint_key, number, retries) for number in range(spent))
    return sum(seconds for seconds in waits if seconds is not None)


def _wait(cycle_id: UUID, endpoint_key: str | None, spent: int, retries: int) -> float | None:
    """Return the seconds after a failed attempt; None: it is dead."""
    policy = attempt.retry_policy(cycle_id, endpoint_key or "", spent=spent, most=retries)
    return outcome.decide(outcome.Retry(), policy).wait
