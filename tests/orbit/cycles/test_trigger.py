"""Triggers start, resume and refuse cycles."""

from dataclasses import replace

import pytest
from django.db import connection

from governance.access.actors import SYSTEM, NamespaceUnknown, NotAllowed
from governance.access.roles import Scope
from governance.models import AuditTrailEntry
from governance.namespaces import halts, pauses
from governance.namespaces.gate import GloballyPaused, NamespaceDraining, NamespaceHalted
from orbit import queue
from orbit.cycles import lease, trigger
from orbit.errors import (
    CycleActive,
    Disabled,
    NamespaceMismatch,
    PayloadTooLarge,
    RunProfileUnknown,
)
from orbit.models import CycleRun, ExecutionRecord
from orbit.pipeline.contract import Payload
from orbit.states import Trigger
from tests.support.configuration import run_profile, store_profiles
from tests.support.pipeline import configure_profiles, rows, start_cycle

pytestmark = pytest.mark.django_db


def begin(**arguments: object) -> trigger.Triggered:
    return trigger.start(
        **{"namespace": None, "source": Trigger.REST, "actor": SYSTEM, **arguments}
    )


def test_a_raw_cycle_runs_on_an_empty_object_in_the_default_namespace() -> None:
    cycle = CycleRun.objects.get(pk=begin().cycle_id)
    assert (
        cycle.namespace_id,
        bytes(cycle.input),
        cycle.input_content_type,
        cycle.run_profile_id,
    ) == ("default", b"{}", "application/json", None)
    assert cycle.next_due_at is not None


def test_without_a_payload_the_input_is_the_instruction_and_its_id_the_hash() -> None:
    configure_profiles()
    cycle = CycleRun.objects.get(pk=start_cycle())
    assert cycle.instruction_id == cycle.input_sha256
    assert cycle.context["run_profile_id"] == "r1"
    assert (cycle.profile_revision, cycle.run_profile_revision) == (1, 1)


def test_the_bytes_of_the_payload_are_stored_unchanged() -> None:
    body = bytes(range(256))
    cycle = CycleRun.objects.get(pk=begin(payload=Payload(body, "application/x-raw")).cycle_id)
    assert (bytes(cycle.input), cycle.input_content_type) == (body, "application/x-raw")


def test_a_users_trigger_is_audited_and_the_schedulers_is_not() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    begin(run_profile_id="r1", reason="try it")
    begin(run_profile_id="r2", source=Trigger.CRON)
    entry = AuditTrailEntry.objects.get(action="cycle.triggered")
    assert (entry.namespace, entry.reason) == ("a", "try it")


ACTOR_OF_B = replace(SYSTEM, namespaces=frozenset({"b"}))


@pytest.mark.parametrize(("arguments", "refusal"), [
    ({"namespace": "nowhere"}, NamespaceUnknown),
    ({"namespace": ""}, NamespaceUnknown),
    ({"run_profile_id": ""}, RunProfileUnknown),
    ({"run_profile_id": "unknown"}, RunProfileUnknown),
    ({"run_profile_id": "r1", "namespace": "b"}, NamespaceMismatch),
    ({"run_profile_id": "off"}, Disabled),
    ({"payload": Payload(b"x" * (trigger.MAX_PAYLOAD + 1), "text/plain")}, PayloadTooLarge),
    ({"actor": ACTOR_OF_B}, NamespaceUnknown),
    ({"actor": ACTOR_OF_B, "run_profile_id": "r1"}, RunProfileUnknown),
    ({"actor": replace(SYSTEM, scopes=frozenset({Scope.READ}))}, NotAllowed),
])  # fmt: skip
def test_a_refused_trigger_leaves_nothing_behind(arguments: dict, refusal: type[Exception]) -> None:
    configure_profiles()
    store_profiles([], [run_profile("off", "p1", namespace="b", state="disabled")])
    with pytest.raises(refusal):
        begin(**arguments)
    assert CycleRun.objects.count() == 0
    assert rows("SELECT count(*) FROM django_q_ormq") == [(0,)]


@pytest.mark.parametrize(
    ("values", "refusal"),
    [("halt = true, mode = 'halting'", NamespaceHalted), ("mode = 'draining'", NamespaceDraining)],
)
def test_a_stopped_namespace_is_refused_and_not_queued(
    values: str, refusal: type[Exception]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE governance_governancesetting SET {values}, reason = 'fire', changed_by = 'ann'"
        )
    with pytest.raises(refusal, match="ann"):
        begin()
    assert CycleRun.objects.count() == 0


def test_a_paused_process_refuses_and_claims_nothing(settings) -> None:
    begin()
    settings.ORBIT_GLOBAL_PAUSE = True
    with pytest.raises(GloballyPaused):
        begin()
    assert (lease.claim(1), lease.next_due()) == ([], None)


def test_a_halt_stops_the_very_next_claim() -> None:
    begin()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE governance_governancesetting SET halt = true, mode = 'halting'")
    assert lease.claim(1) == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE governance_governancesetting SET halt = false, mode = 'running'")
    assert len(lease.claim(1)) == 1


def lose_worker(cycle_id: object) -> None:
    """Claim the cycle and let the lease end."""
    assert len(lease.claim(1)) == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now() - interval '1 s' WHERE id = %s",
            [cycle_id],
        )


def test_the_same_trigger_resumes_a_cycle_whose_worker_is_gone() -> None:
    configure_profiles()
    cycle_id = start_cycle(body=b'{"n":1}')
    lose_worker(cycle_id)
    rows("DELETE FROM django_q_ormq RETURNING id")
    same = begin(run_profile_id="r1", payload=Payload(b'{"n":1}', "application/json"))
    assert (same.cycle_id, same.resumed) == (cycle_id, True)
    assert queue.ready_wakeups() == 1
    assert begin(run_profile_id="r1").resumed
    assert [
        entry.after["resumed"]
        for entry in AuditTrailEntry.objects.filter(action="cycle.triggered").order_by("id")
    ] == [False, True, True]
    with pytest.raises(CycleActive):
        begin(run_profile_id="r1", payload=Payload(b'{"n":2}', "application/json"))
    with pytest.raises(CycleActive):
        begin(namespace="a")


def test_a_cycle_that_was_given_back_is_not_resumed_by_a_trigger() -> None:
    configure_profiles()
    start_cycle()
    lease.give_back(lease.claim(1), wait=60)
    with pytest.raises(CycleActive):
        begin(run_profile_id="r1")


def test_skips_are_recorded_at_once_and_then_once_a_minute_with_their_number() -> None:
    configure_profiles()
    start_cycle()
    for _ in range(5):
        with pytest.raises(CycleActive):
            start_cycle()
    assert rows(
        "SELECT data ->> 'suppressed' FROM orbit_executionrecord WHERE event = 'cycle_skipped'"
    ) == [("0",)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_skipnotice SET written_at = written_at - interval '61 seconds'"
        )
    with pytest.raises(CycleActive):
        start_cycle()
    assert rows(
        "SELECT (data ->> 'suppressed')::int FROM orbit_executionrecord"
        " WHERE event = 'cycle_skipped' ORDER BY created_at, id"
    ) == [(0,), (4,)]


def test_a_refused_tick_is_in_the_ledger_of_ticks_and_not_on_record_again() -> None:
    configure_profiles(r1={"namespace": "a"})
    halts.halt("a", actor=SYSTEM, reason="a flood")
    with pytest.raises(NamespaceHalted):
        trigger.start(namespace=None, source=Trigger.CRON, actor=SYSTEM, run_profile_id="r1")
    assert not ExecutionRecord.objects.exists()


def test_a_refusal_by_the_gate_is_recorded_at_once_and_then_once_a_minute() -> None:
    configure_profiles(r1={"namespace": "a"})
    halts.halt("a", actor=SYSTEM, reason="a flood")
    for _ in range(3):
        with pytest.raises(NamespaceHalted):
            trigger.start(namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="r1")
    record = ExecutionRecord.objects.get(stage="governance")
    assert (record.event, record.namespace, record.cycle_id) == ("refused", "a", None)
    assert record.message.endswith("by orbit: a flood. Resume it to go on.")
    pauses.pause(actor=SYSTEM, reason="a fire")
    with pytest.raises(GloballyPaused):
        trigger.start(namespace=None, source=Trigger.REST, actor=SYSTEM, run_profile_id="r1")
    assert ExecutionRecord.objects.filter(stage="governance").count() == 2
    with pytest.raises(GloballyPaused):
        begin(namespace="x" * 200)
    assert ExecutionRecord.objects.filter(stage="governance").count() == 2
