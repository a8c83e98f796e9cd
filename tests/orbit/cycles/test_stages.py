"""The whole pipeline, with a real database and a real receiver."""

import hashlib

import pytest
from django.db import OperationalError

from orbit import interrupts
from orbit.cycles import finish, lease, progress, stages, trigger
from orbit.dispatch.loop import Finished
from orbit.errors import CycleActive
from orbit.interrupts import Interrupted, Slot, WorkerState
from orbit.models import CycleRun, DeadLetterDispatch
from orbit.pipeline import registry, transformations
from orbit.pipeline.contract import Context, Payload, Transformer, TransformError
from orbit.records import fence
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
NO = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"


def offer(monkeypatch: pytest.MonkeyPatch, transformer: Transformer) -> None:
    """Offer ``transformer`` besides the installed ones."""
    find = registry.transformer
    monkeypatch.setattr(
        registry,
        "transformer",
        lambda name: transformer if name == transformer.name else find(name),
    )


def test_a_cycle_goes_from_trigger_to_deliveries_and_everything_is_on_record(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        body = b'{"z":1,"a":[1.0,1000.0],"n":12345678901234567890}'
        cycle = run_cycle(start_cycle(body=body))
    assert cycle.status == "success"
    assert [hashlib.sha256(request.body).hexdigest() for request in receiver.requests] == [
        cycle.input_sha256
    ] * 3
    assert len({request.headers["idempotency-key"] for request in receiver.requests}) == 3
    checkpoints = [
        row[0]
        for row in rows("SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s", cycle.id)
    ]
    assert sorted(checkpoints) == sorted(
        [
            "cycle_started",
            "initiation_complete",
            "tier1_complete",
            "tier2_complete",
            "tier3_complete",
            "normalization_complete",
            "dispatch_enqueued",
            "dispatch_complete",
            "cycle_finished",
        ]
    )
    events = [
        row[0]
        for row in rows(
            "SELECT event FROM orbit_executionrecord WHERE cycle_id = %s ORDER BY id", cycle.id
        )
    ]
    assert events[:4] == ["cycle_started", "stage_started", "initiation_created", "stage_finished"]
    assert events[-1] == "cycle_finished"
    assert set(events) >= {
        "stage_started",
        "stage_finished",
        "initiation_created",
        "tier_attempt",
        "batch_created",
        "item_created",
        "job_enqueued",
        "delivery_attempt",
        "cycle_finished",
    }
    assert rows(
        "SELECT count(*) FROM telemetry_telemetryevent"
        " WHERE run_id = %s AND name = 'delivery_confirmed'",
        cycle.id,
    ) == [(3,)]
    assert rows(
        "SELECT tag, quantity::int FROM orbit_valueledgerentry WHERE cycle_id = %s ORDER BY tag",
        cycle.id,
    ) == [("deliveries", 3), ("kit", 1)]


def test_the_ends_of_stages_and_cycle_are_on_record_with_each_tier_and_stage(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    ended = rows(
        "SELECT stage, array_agg(key ORDER BY key)"
        " FROM orbit_executionrecord, jsonb_object_keys(data) AS key WHERE cycle_id = %s"
        " AND event IN ('stage_finished', 'cycle_finished') GROUP BY id, stage ORDER BY id",
        cycle.pk,
    )
    assert ended == [
        ("initiation", ["duration_ms", "ok"]),
        ("transformations", ["duration_ms", "ok", "tiers"]),
        ("normalization", ["duration_ms", "items", "ok"]),
        ("dispatch", ["done", "duration_ms", "name", "ok", "skipped", "total"]),
        ("cycle", ["duration_ms", "stages", "status"]),
    ]
    assert [stage["ok"] for stage in cycle.stages] == [True] * 4


def test_the_usual_start_has_no_part_that_ends_cycles() -> None:
    """A part without rows costs time in each start."""
    ends = ("UPDATE orbit_cyclerun", "INSERT INTO orbit_valueledgerentry")
    assert not any(part in stages.START_AND_PREPARE.text for part in ends)
    assert all(part in stages.START_AND_END.text for part in ends)


def test_a_large_input_is_loaded_for_the_tiers_and_released_before_deliveries(
    settings,
) -> None:
    body = b"x" * (lease.SMALL_INPUT + 1)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle(body=body)
        (claimed_cycle,) = lease.claim(1)
        cycle_progress = progress.CycleProgress(claimed_cycle)
        assert claimed_cycle.input is None
        finished = stages.run(cycle_progress, dispatch=dispatch.state(), worker="w")
        assert isinstance(finished, Finished)
        finish.close(cycle_progress, finished)
    assert cycle_progress.cycle.input is None
    assert [tier.payload for tier in cycle_progress.tiers.values()] == [None, None, None]
    assert [request.body for request in receiver.requests] == [body] * 3
    assert CycleRun.objects.get(pk=cycle_id).status == "success"


def test_a_small_input_comes_with_the_claim(settings) -> None:
    configure_profiles()
    start_cycle(body=b"x" * lease.SMALL_INPUT)
    (claimed_cycle,) = lease.claim(1)
    assert claimed_cycle.input is not None


def test_the_same_context_is_initiated_once_and_reused(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        for name in ("r1", "r1", "r2"):
            assert run_cycle(start_cycle(name)).status == "success"
    assert rows("SELECT count(*) FROM orbit_initiation") == [(2,)]
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'initiation_reused'") == [
        (1,)
    ]


def test_a_tier_that_fails_leaves_the_other_two_delivered(settings) -> None:
    with Receiver(OK) as receiver, Receiver(NO) as broken:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={
                "2": {
                    "transformer": "http",
                    "options": {"url": broken.url},
                    "max_attempts": 2,
                    "backoff_base": 0.05,
                }
            }
        )
        cycle = run_cycle(start_cycle())
    assert cycle.status == "partial_success"
    assert dict(
        rows("SELECT tier, status FROM orbit_transformation WHERE cycle_id = %s", cycle.id)
    ) == {1: "success", 2: "failed", 3: "success"}
    assert (
        len(broken.requests) == 2
        and len({request.headers["idempotency-key"] for request in broken.requests}) == 1
    )
    assert len(receiver.requests) == 2


def test_a_receiver_that_refuses_leads_to_dead_letters_and_undoes_nothing(settings) -> None:
    with Receiver(NO) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 1
        configure_profiles()
        cycle = run_cycle(start_cycle())
        assert cycle.status == "partial_success"
        assert rows("SELECT count(*) FROM orbit_normalizationitem") == [(3,)]
        assert len(receiver.requests) == 6
    letters = DeadLetterDispatch.objects.filter(cycle=cycle)
    assert [(letter.reason, letter.status_code, letter.attempts) for letter in letters] == [
        ("retries_exhausted", 500, 2)
    ] * 3
    assert rows(
        "SELECT count(*) FROM governance_audittrailentry WHERE action = 'dead_letter.created'"
    ) == [(3,)]
    assert rows(
        "SELECT count(*) > 0 FROM governance_audittrailentry WHERE action = 'dispatch.failed'"
    ) == [(True,)]


def test_a_cycle_without_an_endpoint_says_so(settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    configure_profiles()
    cycle = run_cycle(start_cycle())
    assert cycle.status == "partial_success"
    assert rows("SELECT level FROM orbit_executionrecord WHERE event = 'no_endpoint'") == [
        ("warning",)
    ]
    assert cycle.stages[3]["skipped"] is True


def test_a_second_trigger_in_a_namespace_starts_nothing(settings) -> None:
    configure_profiles()
    first = start_cycle()
    with pytest.raises(CycleActive) as refusal:
        start_cycle()
    assert refusal.value.extra["active_cycle_run_id"] == str(first)
    assert list(CycleRun.objects.values_list("pk", flat=True)) == [first]
    assert rows(
        "SELECT level, namespace FROM orbit_executionrecord WHERE event = 'cycle_skipped'"
    ) == [("warning", "a")]
    assert trigger.DEFAULT_NAMESPACE == "default"


def test_quick_stages_share_one_commit_and_a_slow_tier_is_durable_by_itself(settings) -> None:
    """Checkpoints that are committed together have the same transaction id."""
    with Receiver(OK) as receiver, Receiver(http("200 OK", b"made")) as service:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        quick = run_cycle(start_cycle())
        configure_profiles(tiers={"2": {"transformer": "http", "options": {"url": service.url}}})
        slow = run_cycle(start_cycle())
    commits = "SELECT stage, xmin::text FROM orbit_cyclecheckpoint WHERE cycle_id = %s"
    together = dict(rows(commits, quick.id))
    del together["dispatch_complete"], together["cycle_finished"]
    assert len(set(together.values())) == 1
    apart = dict(rows(commits, slow.id))
    tiers = ("tier1_complete", "tier2_complete", "tier3_complete")
    assert len({apart[stage] for stage in ("initiation_complete", *tiers)}) == 4


def test_a_stop_after_the_last_tier_is_seen_before_normalization(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = WorkerState()
    monkeypatch.setattr(interrupts, "process", state)

    def stop(payload: Payload, context: Context) -> Payload:
        slot.saw(is_open=False, read_at=interrupts.now())
        return payload

    offer(monkeypatch, Transformer("stop", {}, stop, slow=True))
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(tiers={"3": {"transformer": "stop"}})
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        slot = state.open("a", read_at=interrupts.now())
        interrupts.enter(slot)
        with pytest.raises(Interrupted):
            stages.run(progress.CycleProgress(claimed_cycle), dispatch=dispatch.state(), worker="w")
        interrupts.enter(Slot())
        assert rows("SELECT count(*) FROM orbit_normalizationbatch") == [(0,)]
        assert rows("SELECT status FROM orbit_transformation WHERE tier = 3") == [("success",)]
        lease.give_back([claimed_cycle], wait=0)
        assert run_cycle(cycle_id).status == "success"
    assert len(receiver.requests) == 3


def test_a_tier_that_cannot_succeed_is_attempted_once(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"3": {"transformer": "template", "options": {"template": "$payload"}}}
        )
        assert run_cycle(start_cycle(body=b"\xff")).status == "partial_success"
    assert rows("SELECT status, attempts FROM orbit_transformation WHERE tier = 3") == [
        ("failed", 1)
    ]
    assert len(receiver.requests) == 2


def test_a_quick_tier_that_waits_for_its_next_attempt_is_resumed_from_its_row(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def flaky(payload: Payload, context: Context) -> Payload:
        attempts.append(context.transformation_id)
        if len(attempts) < 3:
            raise TransformError("not yet")
        return payload

    offer(monkeypatch, Transformer("flaky", {}, flaky, slow=False))
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"2": {"transformer": "flaky", "backoff_base": 0.05, "max_attempts": 3}}
        )
        cycle = run_cycle(start_cycle())
    assert cycle.status == "success"
    assert len(attempts) == 3
    assert len(set(attempts)) == 1
    assert rows("SELECT tier, status, attempts FROM orbit_transformation ORDER BY tier") == [
        (1, "success", 1),
        (2, "success", 3),
        (3, "success", 1),
    ]
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'tier_retry'") == [(2,)]
    assert len(receiver.requests) == 3


def test_an_error_in_a_transformer_fails_its_tier_and_no_other(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(payload: Payload, context: Context) -> Payload:
        raise ZeroDivisionError

    offer(monkeypatch, Transformer("broken", {}, broken))
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={
                "1": {"transformer": "broken", "max_attempts": 1},
                "2": {"transformer": "missing", "max_attempts": 1},
            }
        )
        cycle = run_cycle(start_cycle())
    assert cycle.status == "partial_success"
    errors = dict(rows("SELECT tier, error FROM orbit_transformation"))
    assert errors[1] == "ZeroDivisionError: "
    assert "missing" in errors[2]
    assert len(receiver.requests) == 1


def test_an_error_of_the_database_is_no_failure_of_a_tier(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, Transformer("waiting", {}, lambda body, _: body, slow=True))
    commit, lost = fence.commit, []

    def lose_first(write: fence.FencedWrite) -> list[tuple]:
        if write.sql == transformations.SAVE.text and not lost:
            lost.append(write)
            raise OperationalError("the connection is lost")
        return commit(write)

    monkeypatch.setattr(fence, "commit", lose_first)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles({"2": {"transformer": "waiting"}})
        assert run_cycle(start_cycle()).status == "success"
    assert len(lost) == 1
    tiers = rows("SELECT tier, status, attempts FROM orbit_transformation ORDER BY tier")
    assert tiers == [(1, "success", 1), (2, "success", 1), (3, "success", 1)]
