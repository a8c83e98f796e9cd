"""The whole pipeline, against a real database and a real receiver."""

import hashlib

import pytest

from orbit.cycles import trigger
from orbit.errors import CycleActive
from orbit.models import CycleRun, DeadLetterDispatch
from tests.support.pipeline import carry, configure, endpoints, rows, start
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")
NO = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"


def test_a_cycle_goes_from_trigger_to_deliveries_and_everything_is_on_record(settings) -> None:
    with Receiver(OK) as receiver:
        endpoints(settings, default_endpoint=receiver.url)
        configure()
        body = b'{"z":1,"a":[1.0,1000.0],"n":12345678901234567890}'
        cycle = carry(start(body=body))
    assert cycle.status == "success"
    assert [hashlib.sha256(got.body).hexdigest() for got in receiver.requests] == [cycle.input_sha256] * 3
    assert len({got.headers["idempotency-key"] for got in receiver.requests}) == 3
    stages = [row[0] for row in rows("SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s", cycle.id)]
    assert sorted(stages) == sorted([
        "cycle_started", "initiation_complete", "tier1_complete", "tier2_complete", "tier3_complete", "normalization_complete",
        "dispatch_enqueued", "dispatch_complete", "cycle_finished"])  # fmt: skip
    events = {row[0] for row in rows("SELECT DISTINCT event FROM orbit_executionrecord WHERE cycle_id = %s", cycle.id)}
    assert events >= {"stage_started", "stage_finished", "initiation_created", "tier_attempt", "batch_created", "item_created", "job_enqueued",
                      "delivery_attempt", "cycle_finished"}
    assert dict(rows("SELECT name, count(*) FROM telemetry_telemetryevent WHERE run_id = %s GROUP BY 1", cycle.id))["delivery_confirmed"] == 3
    assert rows("SELECT tag, quantity::int FROM orbit_valueledgerentry WHERE cycle_id = %s ORDER BY tag", cycle.id) == [("deliveries", 3), ("kit", 1)]


def test_the_same_context_is_initiated_once_and_reused(settings) -> None:
    with Receiver(OK) as receiver:
        endpoints(settings, default_endpoint=receiver.url)
        configure(r1={"namespace": "a"}, r2={"namespace": "b"})
        for name in ("r1", "r1", "r2"):
            assert carry(start(name)).status == "success"
    assert rows("SELECT count(*) FROM orbit_initiation") == [(2,)]
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'initiation_reused'") == [(1,)]


def test_a_tier_that_fails_leaves_the_other_two_delivered(settings) -> None:
    with Receiver(OK) as receiver, Receiver(NO) as broken:
        endpoints(settings, default_endpoint=receiver.url)
        configure(tiers={"2": {"transformer": "http", "options": {"url": broken.url}, "max_attempts": 2, "backoff_base": 0.05}})
        cycle = carry(start())
    assert cycle.status == "partial_success"
    assert dict(rows("SELECT tier, status FROM orbit_transformation WHERE cycle_id = %s", cycle.id)) == {1: "success", 2: "failed", 3: "success"}
    assert len(broken.requests) == 2 and len({got.headers["idempotency-key"] for got in broken.requests}) == 1
    assert len(receiver.requests) == 2


def test_a_receiver_that_refuses_makes_dead_letters_and_undoes_nothing(settings) -> None:
    with Receiver(NO) as receiver:
        endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 1
        configure()
        cycle = carry(start())
        assert cycle.status == "partial_success"
        assert rows("SELECT count(*) FROM orbit_normalizationitem") == [(3,)]
        assert len(receiver.requests) == 6
    letters = DeadLetterDispatch.objects.filter(cycle=cycle)
    assert [(letter.reason, letter.status_code, letter.attempts) for letter in letters] == [("retries_exhausted", 500, 2)] * 3
    assert rows("SELECT count(*) FROM governance_audittrailentry WHERE action = 'dead_letter.created'") == [(3,)]
    assert rows("SELECT count(*) > 0 FROM governance_audittrailentry WHERE action = 'dispatch.failed'") == [(True,)]


def test_a_cycle_without_an_endpoint_says_so(settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    configure()
    cycle = carry(start())
    assert cycle.status == "partial_success"
    assert rows("SELECT level FROM orbit_executionrecord WHERE event = 'no_endpoint'") == [("warning",)]
    assert cycle.stages[3]["skipped"] is True


def test_a_second_trigger_in_a_namespace_starts_nothing(settings) -> None:
    configure()
    first = start()
    with pytest.raises(CycleActive) as refusal:
        start()
    assert refusal.value.extra["active_cycle_run_id"] == str(first)
    assert list(CycleRun.objects.values_list("pk", flat=True)) == [first]
    assert rows("SELECT level, namespace FROM orbit_executionrecord WHERE event = 'cycle_skipped'") == [("warning", "a")]
    assert trigger.DEFAULT_NAMESPACE == "default"
