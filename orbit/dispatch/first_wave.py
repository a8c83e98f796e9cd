"""The first wave of a cycle: deliveries that begin in the write that enqueues them.

A claim of their own (``claim``) would cost one more commit, and each job one more update. So the
slot takes senders before the write, and the statement begins as many jobs as there are senders:
it inserts them as ``sending``, each with its receipt. It leaves out what a claim would: all if the
gate is closed, and the jobs of endpoints with a limit or with their share of the senders. Those are
inserted as ``pending`` and claimed later.

If the answer of the write is lost, ``claim.adopt`` finds what it began. A crash leaves the same as
after a claim: receipts that say ``sending``, which the next worker closes as unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from governance.kernel.identifiers import uuid7
from orbit import interrupts
from orbit.dispatch import endpoints, enqueue
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.endpoints import Endpoint
from orbit.dispatch.senders import SenderPool
from orbit.records import fence
from orbit.records.fence import Fenced, FencedWrite, Rows


def commit(
    write: FencedWrite, *, senders: SenderPool, worker: str | None
) -> tuple[Rows, list[ClaimedJob]]:
    """Commit a write with ``INSERT_JOBS``; return its rows, and the jobs that it began.

    Send these now: each has its sender. Without ``worker`` there are none. Raises Fenced.
    """
    write.values["worker"] = worker
    cycle, read_at = write.cycle, interrupts.now()
    configured = endpoints.configured()
    # Else this process must not begin any: the write leaves all to a claim, which says why.
    rows = _unlimited(write, configured) if worker is not None and _may_begin() else []
    taken = senders.take_free(len(rows)) if rows else 0
    try:
        wave = _begin(write, rows[:taken], senders) if taken else {}
        # Before the write: if its answer is lost, these attempts are adopted.
        cycle.begun = list(wave)
        answer = enqueue.commit(lambda: fence.commit(write))
        begun = _claimed(write, wave, answer, configured) if wave else []
    except BaseException as exc:
        senders.give_back(taken)
        if isinstance(exc, Fenced):
            cycle.begun = []
        raise
    cycle.begun = []
    if begun:
        # The statement itself checked the gate.
        interrupts.slot().saw(is_open=True, read_at=read_at)
    senders.give_back(taken - len(begun))
    senders.begin(job.state_id for job in begun)
    return answer, begun


def _may_begin() -> bool:
    process, slot = interrupts.process, interrupts.slot()
    # A suspected cycle gets no wave here: once it makes progress, another process goes on with it.
    return not process.stopped and not process.alone and slot.open and slot.holds


def _unlimited(write: FencedWrite, configured: Mapping[str, Endpoint]) -> list[dict[str, Any]]:
    """Return the rows of the jobs that may begin: a hint, because the caps may be others by now."""
    return [row for row in write.rows["jobs"] if not configured[row["endpoint_key"]].is_capped]


def _begin(
    write: FencedWrite, rows: Sequence[dict[str, Any]], senders: SenderPool
) -> dict[UUID, dict[str, Any]]:
    """Ask the write to begin the jobs of ``rows``; return these by the ids of their receipts."""
    digests = {item["id"]: item["sha256"] for item in write.rows["items"]}
    wave: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        receipt_id = uuid7()
        row.update(receipt_id=receipt_id, sha256=digests[row["item_id"]])
        wave[receipt_id] = row
    write.rows["full"] = [
        {"cycle_id": write.cycle.id, "state_id": state_id} for state_id in senders.full()
    ]
    return wave


def _claimed(
    write: FencedWrite,
    wave: Mapping[UUID, dict[str, Any]],
    answer: Rows,
    configured: Mapping[str, Endpoint],
) -> list[ClaimedJob]:
    """Return the jobs of ``wave`` that the write has begun."""
    items = {item["id"]: item for item in write.rows["items"]}
    begun = []
    for *_, receipt_id, state_id in answer:
        if receipt_id is None:
            continue
        row = wave[receipt_id]
        item = items[row["item_id"]]
        job = ClaimedJob(
            write.cycle.id,
            receipt_id,
            row["id"],
            attempt=1,
            spent=0,
            max_retries=row["max_retries"],
            delivery_id=row["delivery_id"],
            endpoint_key=row["endpoint_key"],
            # As in its snapshot: the fingerprint that they share is that of all its members.
            endpoint=configured[row["endpoint_key"]],
            body=write.blobs[item["blob"] - 1],
            content_type=item["content_type"],
            state_id=state_id,
        )
        begun.append(job)
    return begun
