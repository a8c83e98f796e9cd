"""The sentence that sums up a cycle."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.kernel.identifiers import uuid7
from orbit.cycles import overview
from orbit.cycles.detail import CycleDetail, DeliveryCounts, PayloadExcerpt
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob, ExecutionRecord, Transformation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = uuid7(), uuid7()
SOON = NOW + timedelta(seconds=42)


def tiers_with(*states: str, error: str = "") -> list[Transformation]:
    return [
        Transformation(tier=n, status=state, attempts=4, error=error if state == "failed" else "")
        for n, state in enumerate(states, 1)
    ]


def sentence(
    status: str,
    *,
    tiers: Any = (),
    deliveries: DeliveryCounts | None = None,
    letters: Any = (),
    records: Any = (),
    jobs: Any = (),
    reruns: Any = (),
    stopped: str = "",
    **members: Any,
) -> str:
    cycle = CycleRun(id=uuid7(), namespace_id="eu", status=status, **members)
    detail = CycleDetail(
        cycle,
        PayloadExcerpt("", "", 0, b""),
        [],
        list(tiers),
        None,
        [],
        list(jobs),
        [],
        list(letters),
        list(records),
        [],
        deliveries or DeliveryCounts(),
        reruns=reruns,
        stopped=stopped,
    )
    return overview.sentence(detail, now=NOW)


OK3 = ("success",) * 3


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (sentence("queued"), "Queued: it waits for the cycle before it in eu."),
        (sentence("pending"), "Pending: no worker has taken it yet."),
        (
            sentence("pending", stopped="eu is halted by ann: a flood."),
            "Pending: no worker has taken it yet: eu is halted by ann: a flood.",
        ),
        (
            sentence("running", tiers=tiers_with(*OK3), stopped="eu is halted by ann: a flood."),
            "Running: 3 tiers; eu is halted by ann: a flood.",
        ),
        (
            sentence("success", tiers=tiers_with(*OK3), deliveries=DeliveryCounts(3, 3)),
            "Success: 3 tiers; 3 deliveries.",
        ),
        (
            sentence(
                "partial_success",
                tiers=tiers_with("success", "success", "failed", error="timeout.\nmore"),
                deliveries=DeliveryCounts(6, 4, 2),
                letters=[
                    DeadLetterDispatch(endpoint_key="aurora", status_code=503),
                    DeadLetterDispatch(endpoint_key="aurora", reason="endpoint_down"),
                ],
            ),
            "Partial success: tier 3 failed after 4 tries (timeout); 4 of 6 deliveries done;"
            " 2 dead at aurora (503).",
        ),
        (
            sentence(
                "partial_success",
                tiers=tiers_with(*OK3),
                records=[ExecutionRecord(event="no_endpoint", message="nothing configured")],
            ),
            "Partial success: 3 tiers; nothing configured.",
        ),
        (sentence("failed", reason="parked"), "Failed: parked."),
        (
            sentence(
                "cancelled",
                reason="cancelled by ann: wrong input",
                deliveries=DeliveryCounts(3, 1, 0, 2),
            ),
            "Cancelled by ann: wrong input; 1 of 3 deliveries done; 2 cancelled.",
        ),
        (
            sentence(
                "running",
                lease_owner="w",
                lease_expires_at=SOON,
                tiers=tiers_with("success", "pending"),
            ),
            "Running: 1 of 3 tiers done.",
        ),
        (
            sentence("running", lease_owner="w", lease_expires_at=NOW - timedelta(seconds=3)),
            "Running: its worker has been silent since 11:59:57; another one will take over.",
        ),
        (
            sentence(
                "running",
                tiers=tiers_with(*OK3),
                deliveries=DeliveryCounts(3, 2, 0, 0, 1),
                jobs=[DispatchJob(status="pending", next_attempt_at=SOON)],
            ),
            "Running: 3 tiers; 2 of 3 deliveries done; the next retry is due in 42 s.",
        ),
        (sentence("running"), "Running: it waits for a worker."),
        (
            sentence("running", resumes=2),
            "Running: it waits: it was resumed without progress and runs alone, after others of its"
            " kind.",
        ),
        (
            sentence(
                "success",
                tiers=tiers_with(*OK3),
                deliveries=DeliveryCounts(1, 1),
                rerun_of_id=OLD,
                takeover={"tiers": [1, 2], "delivered": 4},
            ),
            f"Success: 3 tiers; 1 delivery; runs {OLD} again,"
            " from which 2 tiers and 4 deliveries are taken over.",
        ),
        (
            sentence(
                "partial_success",
                deliveries=DeliveryCounts(1, 1),
                reruns=[CycleRun(id=NEW, status="partial_success")],
            ),
            f"Partial success: 1 delivery; run again 1 time, last as {NEW} (partial success).",
        ),
        (
            sentence("failed", finished_at=NOW, deliveries=DeliveryCounts(3, 2, 0, 0, 1)),
            "Failed: 2 of 3 deliveries done; 1 still open.",
        ),
    ],
)
def test_the_sentence_names_what_happened_and_how_much_is_done(actual: str, expected: str) -> None:
    assert actual == expected
