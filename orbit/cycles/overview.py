"""A cycle in one sentence, made from its data: what happened, where it failed, how much of it is done, what it waits for."""

from collections import Counter
from datetime import datetime

from orbit.cycles.detail import CycleDetail
from orbit.states import ACTIVE, Cycle, Job, Tier

_OPENING = {
    Cycle.QUEUED: "Queued",
    Cycle.PENDING: "Pending: no worker has taken it yet",
    Cycle.RUNNING: "Running",
    Cycle.SUCCESS: "Success",
    Cycle.PARTIAL_SUCCESS: "Partial success",
    Cycle.FAILED: "Failed",
    Cycle.CANCELLED: "Cancelled",
}


def sentence(detail: CycleDetail, *, now: datetime) -> str:
    """Return the verdict on ``detail`` as it stands at ``now``."""
    cycle = detail.cycle
    status = Cycle(cycle.status)
    parts = [*_tiers(detail), *_deliveries(detail), *_history(detail)]
    if status == Cycle.CANCELLED and cycle.reason:
        # The reason starts with by whom, as a sentence of its own.
        return "; ".join([cycle.reason[:1].upper() + cycle.reason[1:].rstrip("."), *parts]) + "."
    if status == Cycle.FAILED and cycle.reason:
        parts.insert(0, cycle.reason.rstrip("."))
    if status == Cycle.QUEUED:
        parts.append(
            detail.waits_for or f"it waits for the cycle before it in {cycle.namespace_id}"
        )
    if detail.stopped and status in ACTIVE:
        parts.append(detail.stopped.rstrip("."))
    elif status == Cycle.RUNNING:
        parts += _waits(detail, now)
    return f"{_OPENING[status]}: {'; '.join(parts)}." if parts else f"{_OPENING[status]}."


def _history(detail: CycleDetail) -> list[str]:
    """Say which cycle it runs again, with what it took over, and whether it was run again itself."""
    said, cycle = [], detail.cycle
    if cycle.rerun_of_id is not None:
        taken = cycle.takeover or {}
        had = [
            _times(len(taken.get("tiers", ())), "tier", "tiers"),
            _times(taken.get("delivered", 0), "delivery", "deliveries"),
        ]
        said.append(
            f"runs {cycle.rerun_of_id} again, from which {had[0]} and {had[1]} are taken over"
        )
    if detail.reruns:
        last = detail.reruns[-1]
        said.append(
            f"run again {_times(len(detail.reruns), 'time', 'times')}, last as {last.pk} ({Cycle(last.status).replace('_', ' ')})"
        )
    return said


def _tiers(detail: CycleDetail) -> list[str]:
    done = [tier for tier in detail.tiers if tier.status == Tier.SUCCESS]
    failed = [tier for tier in detail.tiers if tier.status == Tier.FAILED]
    said = [
        f"tier {tier.tier} failed after {_times(tier.attempts, 'try', 'tries')} ({_short(tier.error) or 'no reason given'})"
        for tier in failed
    ]
    if done and not failed:
        said.append(f"{len(done)} of 3 tiers done" if len(done) < 3 else "3 tiers")
    return said


def _deliveries(detail: CycleDetail) -> list[str]:
    deliveries = detail.deliveries
    if not deliveries.total:
        skipped = [
            record.message
            for record in detail.records
            if record.event in {"no_items", "no_endpoint", "endpoint_unknown"} and record.message
        ]
        return [message.rstrip(".") for message in skipped[:1]]
    if deliveries.delivered == deliveries.total:
        return [_times(deliveries.total, "delivery", "deliveries")]
    said = [f"{deliveries.delivered} of {deliveries.total} deliveries done"]
    if deliveries.dead:
        said.append(f"{deliveries.dead} dead at {_where(detail)}")
    if deliveries.cancelled:
        said.append(f"{deliveries.cancelled} cancelled")
    if deliveries.open and detail.cycle.finished_at is not None:
        said.append(f"{deliveries.open} still open")
    return said


def _where(detail: CycleDetail) -> str:
    """Name the endpoints of the dead letters, each with its commonest last answer."""
    answers: dict[str, Counter[str]] = {}
    for letter in detail.dead_letters:
        answers.setdefault(letter.endpoint_key, Counter())[
            str(letter.status_code or letter.reason)
        ] += 1
    return (
        ", ".join(
            f"{key} ({counts.most_common(1)[0][0]})" for key, counts in sorted(answers.items())
        )
        or "an endpoint"
    )


def _waits(detail: CycleDetail, now: datetime) -> list[str]:
    """Say what a running cycle waits for, when it isn't being worked on right now."""
    due = [
        job.next_attempt_at
        for job in detail.jobs
        if job.status == Job.PENDING and job.next_attempt_at
    ]
    due += [
        tier.next_attempt_at
        for tier in detail.tiers
        if tier.status == Tier.PENDING and tier.next_attempt_at
    ]
    later = [moment for moment in due if moment > now]
    cycle = detail.cycle
    if cycle.lease_expires_at is not None:
        if cycle.lease_expires_at < now:
            return [
                f"its worker is silent since {cycle.lease_expires_at:%H:%M:%S}, another one takes over"
            ]
        return []
    if later and len(later) == len(due):
        return [f"the next retry is due in {max(1, round((min(later) - now).total_seconds()))} s"]
    if cycle.next_due_at is not None and cycle.next_due_at > now:
        held = sorted(
            {
                job.endpoint_key
                for job in detail.jobs
                if job.status == Job.PENDING and job.next_attempt_at and job.next_attempt_at <= now
            }
        )
        if held:
            until = max(1, round((cycle.next_due_at - now).total_seconds()))
            return [
                f"it waits for {', '.join(held)}, which is down or takes no more just now: looked at again in {until} s"
            ]
    return ["it waits for a worker"]


def _times(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return (line if len(line) <= 160 else line[:157] + "...").rstrip(".")
