"""The events of a cycle: one for its start and end, each stage and each attempt."""

import json
from collections import Counter
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.cycles import cancel
from orbit.models import CycleRun
from telemetry.models import TelemetryEvent
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")

UNAVAILABLE = http("503 Service Unavailable")
#: Of a cycle with three tiers and one endpoint in which nothing fails.
SMOOTH = {
    ("execution_started", None): 1,
    ("stage_finished", "initiation"): 1,
    ("tier_attempt", "transformations"): 3,
    ("stage_finished", "transformations"): 1,
    ("stage_finished", "normalization"): 1,
    ("delivery_confirmed", "dispatch"): 3,
    ("stage_finished", "dispatch"): 1,
    ("execution_finished", None): 1,
}


def events_of(cycle: CycleRun) -> list[tuple[Any, ...]]:
    table = TelemetryEvent._meta.db_table
    return rows(f"SELECT name, stage, level, metadata FROM {table} WHERE run_id = %s", cycle.pk)


def counted(cycle: CycleRun) -> dict[tuple[str, str | None], int]:
    return dict(Counter((name, stage) for name, stage, *_ in events_of(cycle)))


def test_a_smooth_cycle_writes_twelve_events_in_the_statements_of_what_they_report(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert counted(cycle) == SMOOTH
    assert sum(SMOOTH.values()) == 12
    about = TelemetryEvent.objects.filter(run_id=cycle.pk).values_list("namespace", "profile_id")
    assert set(about) == {("a", "p1")}


def test_each_attempt_of_a_tier_and_of_a_delivery_has_one_event_with_its_reason(
    settings: Any,
) -> None:
    with (
        Receiver(UNAVAILABLE, UNAVAILABLE, http("200 OK", b"{}")) as tier,
        Receiver(UNAVAILABLE, OK) as target,
    ):
        configure_endpoints(settings, default_endpoint=target.url)
        configure_profiles(
            {"1": {"transformer": "http", "options": {"url": tier.url}, "backoff_base": 0.01}}
        )
        cycle = run_cycle(start_cycle())
    assert counted(cycle) == {
        **SMOOTH,
        ("tier_attempt", "transformations"): 5,
        ("delivery_attempt", "dispatch"): 1,
    }
    found = [(name, level, json.loads(data)) for name, _, level, data in events_of(cycle)]
    tiers = sorted(
        (data["tier"], data["attempt"], data["ok"], data.get("error", ""))
        for name, _, data in found
        if name == "tier_attempt"
    )
    assert tiers == [
        (1, 1, False, "The answer was HTTP 503."),
        (1, 2, False, "The answer was HTTP 503."),
        (1, 3, True, ""),
        (2, 1, True, ""),
        (3, 1, True, ""),
    ]
    ((level, data),) = [(level, data) for name, level, data in found if name == "delivery_attempt"]
    assert (level, data["outcome"], data["status_code"], data["error"]) == (
        "warning", "failed", 503, "HTTP 503",
    )  # fmt: skip


def test_a_tier_and_a_delivery_that_fail_for_good_end_their_stages_as_failed(
    settings: Any,
) -> None:
    gone = http("410 Gone", b"secret")
    with Receiver(gone) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({"2": {"transformer": "http", "options": {"url": receiver.url}}})
        cycle = run_cycle(start_cycle())
    assert counted(cycle) == {
        **{key: number for key, number in SMOOTH.items() if key[0] != "delivery_confirmed"},
        ("delivery_attempt", "dispatch"): 2,
    }
    assert not any("secret" in data for *_, data in events_of(cycle))


def test_each_event_is_in_the_transaction_of_what_it_reports(settings: Any) -> None:
    with Receiver(UNAVAILABLE, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    alone = rows(
        f"SELECT e.name FROM {TelemetryEvent._meta.db_table} e WHERE e.run_id = %s AND NOT EXISTS "
        "(SELECT 1 FROM orbit_recordgroup r WHERE r.cycle_id = e.run_id AND r.xmin = e.xmin)",
        cycle.pk,
    )
    assert alone == []
    assert len(events_of(cycle)) == 13


def test_a_cancelled_cycle_reports_its_end() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    cancel.cancel(cycle_id, actor=SYSTEM, reason="no")
    (event,) = events_of(CycleRun.objects.get(pk=cycle_id))
    assert event[:3] == ("execution_finished", None, "warning")
    assert json.loads(event[3]) == {"status": "cancelled"}
