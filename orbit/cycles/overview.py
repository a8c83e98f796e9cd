"""Say in one sentence what a cycle did, and what it waits for."""

from collections import Counter
from datetime import datetime

from orbit.cycles.detail import CycleDetail
from orbit.records.fence import ALONE_FROM
from orbit.states import ACTIVE, Cycle, Job, Tier

_ALONE = "it was resumed without progress and runs alone, after others of its kind"
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
    """Return the overview of ``detail`` at ``now``."""
    cycle = detail.cycle
    status = Cycle(cycle.status)
    parts = [*_tiers(detail), *_deliveries(detail), *_history(detail)]
    if status == Cycle.CANCELLED and cycle.reason:
        # The reason says by whom, and opens the sentence.
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
    parts, cycle = [], detail.cycle
    if cycle.rerun_of_id is not None:
        reused = cycle.takeover or {}
        tiers = _times(len(reused.get("tiers", ())), "tier", "tiers")
        deliveries = _times(reused.get("delivered", 0), "delivery", "deliveries")
        parts.append(
            f"runs {cycle.rerun_of_id} again, from which {tiers} and {deliveries} are taken over"
        )
    if detail.reruns:
        last = detail.reruns[-1]
        times = _times(len(detail.reruns), "time", "times")
        status = Cycle(last.status).replace("_", " ")
        parts.append(f"run again {times}, last as {last.pk} ({status})")
    return parts


def _tiers(detail: CycleDetail) -> list[str]:
    done = [tier for tier in detail.tiers if tier.status == Tier.SUCCESS]
    failed = [tier for tier in detail.tiers if tier.status == Tier.FAILED]
    parts = [
        f"tier {tier.tier} failed after {_times(tier.attempts, 'try', 'tries')} "
        f"({_short(tier.error) or 'no reason given'})"
        for tier in failed
    ]
    if done and not failed:
        parts.append(f"{len(done)} of 3 tiers done" if len(done) < 3 else "3 tiers")
    return parts


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
    parts = [f"{deliveries.delivered} of {deliveries.total} deliveries done"]
    if deliveries.dead:
        parts.append(f"{deliveries.dead} dead at {_endpoints(detail)}")
    if deliveries.cancelled:
        parts.append(f"{deliveries.cancelled} cancelled")
    if deliveries.open and detail.cycle.finished_at is not None:
        parts.append(f"{deliveries.open} still open")
    return parts


def _endpoints(detail: CycleDetail) -> str:
    # Each endpoint with its most frequent last answer.
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
        if cycle.lease_expires_at >= now:
            return []  # a worker runs it right now
        since = f"{cycle.lease_expires_at:%H:%M:%S}"
        if cycle.resumes >= ALONE_FROM:
            return [f"its worker has been silent since {since}; {_ALONE}"]
        return [f"its worker has been silent since {since}; another one will take over"]
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
                f"waiting for {', '.join(held)} (down or at its limit); next check in {until} s"
            ]
    return [f"it waits: {_ALONE}" if cycle.resumes >= ALONE_FROM else "it waits for a worker"]


def _times(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return (line if len(line) <= 160 else line[:157] + "...").rstrip(".")
