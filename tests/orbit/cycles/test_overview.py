"""The sentence that sums up a cycle."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.kernel.identifiers import uuid7
from governance.namespaces.gate import NamespaceHalted
from orbit.cycles import waiting
from orbit.cycles.delivery_counts import DeliveryCounts
from orbit.cycles.overview import DeadAt, Overview
from orbit.cycles.waiting import OpenWork
from orbit.models import CycleRun, Transformation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = uuid7(), uuid7()
SOON = NOW + timedelta(seconds=42)
LATE = NOW + timedelta(seconds=3600)


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
    dead: Any = (),
    breakers: Any = None,
    skipped: str = "",
    work: Any = (),
    reruns: Any = (),
    stop: str = "",
    **members: Any,
) -> str:
    cycle = CycleRun(id=uuid7(), namespace_id="eu", status=status, **members)
    wait = waiting.decide(cycle, work, stop=NamespaceHalted(stop) if stop else None, now=NOW)
    return Overview(
        cycle,
        list(tiers),
        deliveries or DeliveryCounts(),
        list(dead),
        breakers or {},
        skipped,
        reruns,
        wait,
    ).sentence


OK3 = ("success",) * 3


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (sentence("pending"), "Pending: no worker has taken it yet."),
        (
            sentence("pending", stop="eu is halted by ann: a flood."),
            "Pending: eu is halted by ann: a flood.",
        ),
        (
            sentence("running", tiers=tiers_with(*OK3), stop="eu is halted by ann: a flood."),
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
                dead=[DeadAt("aurora", "503", 2), DeadAt("aurora", "endpoint_down", 1)],
            ),
            "Partial success: tier 3 failed after 4 tries (timeout); 4 of 6 deliveries done;"
            " 2 dead at aurora (503). Nothing is tried again by itself.",
        ),
        (
            sentence(
                "partial_success",
                deliveries=DeliveryCounts(6, 4, 2),
                dead=[DeadAt("aurora", "503", 2)],
                breakers={"aurora": NOW},
                next_due_at=SOON,
            ),
            "Partial success: 4 of 6 deliveries done; 2 dead at aurora (503; breaker open since"
            " 12:00 UTC).",
        ),
        (
            sentence(
                "failed",
                deliveries=DeliveryCounts(7, 0, 7),
                dead=[DeadAt(f"e{number}", "503", 1) for number in range(7)],
                next_due_at=SOON,
            ),
            "Failed: 0 of 7 deliveries done; 7 dead at e0 (503), e1 (503), e2 (503), e3 (503),"
            " e4 (503), 2 more.",
        ),
        (
            sentence(
                "partial_success",
                tiers=tiers_with(*OK3),
                skipped="nothing configured",
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
                lease_expires_at=LATE,
                tiers=tiers_with("success", "pending"),
            ),
            "Running: 1 of 3 tiers done.",
        ),
        (
            sentence("running", lease_owner="w", lease_expires_at=NOW - timedelta(seconds=3)),
            "Running: its worker has been silent since 11:59:57 UTC; another one will take over.",
        ),
        (
            sentence(
                "running",
                tiers=tiers_with(*OK3),
                deliveries=DeliveryCounts(3, 2, 0, 0, 1),
                work=[OpenWork("aurora", retry_at=SOON)],
            ),
            "Running: 3 tiers; 2 of 3 deliveries done; the next retry to aurora is due in 42 s.",
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
