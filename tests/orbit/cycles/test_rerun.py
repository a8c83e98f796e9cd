"""Re-runs: results are reused, and nothing that was delivered is sent again."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.kernel.errors import OrbitError
from governance.models import AuditTrailEntry, GovernanceSetting
from governance.namespaces.gate import NamespaceHalted
from orbit.cycles import cancel, detail, finish, lease, stages, trigger
from orbit.cycles.rerun import single
from orbit.cycles.rerun.plan import DeliveryAction
from orbit.dispatch import attempt, dead_letters, receipts
from orbit.errors import (
    CycleActive,
    CycleUnknown,
    DeliveriesOpen,
    Disabled,
    NamespaceMismatch,
    NotFinished,
)
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from orbit.outbound.client import Response
from orbit.pipeline import initiation, transformations
from orbit.pipeline.transformations import TierResult
from orbit.records import fence
from orbit.records.fence import ClaimedCycle
from orbit.states import Trigger
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
NO = http("500 No")


@pytest.fixture(autouse=True)
def _few_retries(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0


def run_again(cycle_id: UUID, reason: str = "it is repaired") -> CycleRun:
    return run_cycle(single.start(cycle_id, actor=SYSTEM, reason=reason, source=Trigger.REST))


def keys(receiver: Receiver) -> list[str]:
    return [request.headers["idempotency-key"] for request in receiver.requests]


def events(cycle_id: UUID) -> list[str]:
    """Return the events on record for a cycle, oldest first."""
    return [
        event
        for (event,) in rows(
            "SELECT event FROM orbit_executionrecord WHERE cycle_id = %s ORDER BY id", cycle_id
        )
    ]


def checkpoints(cycle_id: UUID) -> set[str]:
    return {
        stage
        for (stage,) in rows(
            "SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s", cycle_id
        )
    }


@dataclass
class MendedRun:
    """A cycle of which one of two endpoints refused everything, and its re-run, which it took."""

    good: Receiver
    mended: Receiver
    old: CycleRun
    new: CycleRun


def rerun_for_mended_endpoint(settings: Any) -> MendedRun:
    refusal = http("410 Gone")
    with Receiver(OK) as good, Receiver(refusal, refusal, refusal, OK) as mended:
        configure_endpoints(settings, good=good.url, mended=mended.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["good", "mended"]})
        old = run_cycle(start_cycle(body=b'{"n":  1}'))
        return MendedRun(good, mended, old, run_again(old.pk))


def test_a_rerun_sends_only_what_was_not_delivered(settings: Any) -> None:
    run = rerun_for_mended_endpoint(settings)
    assert (run.old.status, run.new.status) == ("partial_success", "success")
    assert (len(run.good.requests), len(run.mended.requests)) == (3, 6)
    assert sorted(keys(run.mended)[3:]) == sorted(keys(run.mended)[:3])
    assert {request.body for request in run.mended.requests} == {b'{"n":  1}'}
    assert {request.headers["x-orbit-cycle"] for request in run.mended.requests[3:]} == {
        str(run.new.pk)
    }
    assert [(stage["done"], stage["total"], stage["ok"]) for stage in run.new.stages] == [
        (1, 1, True),
        (3, 3, True),
        (3, 3, True),
        (6, 6, True),
    ]


def test_the_first_worker_of_a_rerun_reads_what_it_has(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
    new = single.start(old.pk, actor=SYSTEM, reason="r", source=Trigger.REST)
    # A cycle with the token 1 is taken for a new one, which has nothing to read.
    assert [(cycle.id, cycle.token) for cycle in lease.claim(1)] == [(new, 2)]


def test_a_rerun_reuses_input_tiers_and_items(settings: Any) -> None:
    run = rerun_for_mended_endpoint(settings)
    old, new = run.old, run.new
    assert (new.rerun_of_id, new.trigger) == (old.pk, "rest")
    assert (bytes(new.input), new.input_content_type, new.input_sha256) == (
        bytes(old.input),
        old.input_content_type,
        old.input_sha256,
    )
    tiers = rows(
        "SELECT t.tier, t.status, t.attempts, t.output IS NULL,"
        " t.output_sha256 = o.output_sha256, t.taken_from = o.id FROM orbit_transformation t"
        " JOIN orbit_transformation o ON o.tier = t.tier AND o.cycle_id = %s"
        " WHERE t.cycle_id = %s ORDER BY 1",
        old.pk,
        new.pk,
    )
    assert tiers == [(tier, "success", 0, True, True, True) for tier in (1, 2, 3)]
    assert rows("SELECT count(*) FROM orbit_normalizationitem") == [(3,)]


def test_a_rerun_requeues_the_dead_letters_under_their_delivery_ids(settings: Any) -> None:
    run = rerun_for_mended_endpoint(settings)
    pairs = (
        "SELECT normalization_item_id, delivery_id FROM orbit_dispatchjob"
        " WHERE cycle_id = %s AND endpoint_key = 'mended' ORDER BY 1"
    )
    assert rows(pairs, run.new.pk) == rows(pairs, run.old.pk)
    assert DispatchJob.objects.filter(cycle=run.new).count() == 3
    letters = DeadLetterDispatch.objects.filter(cycle=run.old).select_related("requeued_job")
    assert [
        (letter.status, letter.requeued_job.cycle_id, letter.requeued_job.requeue_of_id)
        for letter in letters
    ] == [("requeued", run.new.pk, letter.job_id) for letter in letters]


def test_a_rerun_has_all_checkpoints_and_records(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_again(old.pk)
    assert checkpoints(new.pk) == checkpoints(old.pk)
    assert len(checkpoints(new.pk)) == 9
    assert events(new.pk)[:2] == ["cycle_rerun_of", "tier_taken_over"]
    expected = {
        "tier_taken_over": 3,
        "job_enqueued": 3,
        "tier_attempt": 0,
        "no_items": 0,
        "stage_started": 4,
        "stage_finished": 4,
    }
    assert {event: events(new.pk).count(event) for event in expected} == expected


def test_a_rerun_is_on_record_for_the_old_cycle_and_in_the_audit_trail(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_again(old.pk, "the receiver is back")
    assert events(old.pk).count("cycle_rerun") == 1
    assert events(old.pk).count("dead_letter_requeued") == 3
    (entry,) = AuditTrailEntry.objects.filter(action="cycle.rerun")
    assert (entry.object_id, entry.namespace, entry.reason, entry.after["cycle_run_id"]) == (
        str(old.pk),
        "a",
        "the receiver is back",
        str(new.pk),
    )
    assert (entry.after["deliveries"], entry.after["dead_letters_requeued"]) == (3, 3)
    # The value is metered with the first cycle only, deliveries with each.
    assert rows("SELECT cycle_id, tag, quantity::int FROM orbit_valueledgerentry ORDER BY id") == [
        (old.pk, "deliveries", 0),
        (old.pk, "kit", 1),
        (new.pk, "deliveries", 3),
    ]


def test_the_pages_of_both_cycles_name_the_other(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_again(old.pk)
    before, after = detail.read(old.pk, actor=SYSTEM), detail.read(new.pk, actor=SYSTEM)
    assert (
        [row.pk for row in before.overview.reruns],
        after.cycle.rerun_of_id,
        after.overview.reruns,
    ) == (
        [new.pk],
        old.pk,
        [],
    )
    assert (
        before.overview.deliveries.delivered,
        after.overview.deliveries.delivered,
        len(before.jobs),
        len(after.jobs),
    ) == (
        3,
        3,
        6,
        3,
    )


def test_a_late_success_cancels_the_job_that_a_rerun_created(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        (job,) = dispatch.claim_jobs(claimed_cycle, limit=1)
        cancel.cancel(old_id, actor=SYSTEM, reason="stop")
        DispatchJob.objects.filter(pk=job.job_id).update(status="cancelled", finished_at=Now())
        first = single.start(old_id, actor=SYSTEM, reason="x", source=Trigger.REST)
        cancel.cancel(first, actor=SYSTEM, reason="x")
        second = single.start(first, actor=SYSTEM, reason="x", source=Trigger.REST)
        receipts.save_late_successes(
            claimed_cycle,
            [attempt.resolve(job, Response(200, None, "", b"", None, 1.0, True, None))],
        )
        requeued_job = DispatchJob.objects.get(cycle=second, delivery_id=job.delivery_id)
        assert (requeued_job.status, requeued_job.last_error) == (
            "cancelled",
            "the original was delivered late",
        )
        assert run_cycle(second).pk == second
    assert len(receiver.requests) == 2


def test_a_tier_that_failed_runs_on_the_old_input_and_todays_revision(settings: Any) -> None:
    with (
        Receiver(OK) as receiver,
        Receiver(NO) as broken,
        Receiver(http("200 OK", b"made")) as service,
    ):
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"2": {"transformer": "http", "options": {"url": broken.url}, "max_attempts": 1}}
        )
        old = run_cycle(start_cycle(body=b"old input"))
        assert len(receiver.requests) == 2
        configure_profiles(tiers={"2": {"transformer": "http", "options": {"url": service.url}}})
        new = run_again(old.pk)
    assert (old.status, new.status) == ("partial_success", "success")
    assert [request.body for request in service.requests] == [b"old input"]
    assert [request.body for request in receiver.requests] == [b"old input", b"old input", b"made"]
    assert len(set(keys(receiver))) == 3
    assert (old.profile_revision, new.profile_revision) == (1, 2)
    assert rows(
        "SELECT tier, attempts, taken_from IS NOT NULL FROM orbit_transformation"
        " WHERE cycle_id = %s ORDER BY 1",
        new.pk,
    ) == [(1, 0, True), (2, 1, False), (3, 0, True)]
    assert [(stage["done"], stage["total"]) for stage in new.stages] == [
        (1, 1),
        (3, 3),
        (3, 3),
        (3, 3),
    ]


def test_a_rerun_of_a_successful_cycle_sends_nothing_and_succeeds(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_again(old.pk)
        assert run_again(new.pk).status == "success"
        assert run_again(old.pk).status == "success"
    assert (old.status, new.status, len(receiver.requests)) == ("success", "success", 3)
    assert DispatchJob.objects.count() == 3


def test_work_of_any_rerun_is_not_repeated_by_the_next_one(settings: Any) -> None:
    """Tier 2 and the deliveries fail; one re-run completes the tier, another the deliveries."""
    with (
        Receiver(NO, NO, OK, NO, NO, OK) as receiver,
        Receiver(NO) as broken,
        Receiver(http("200 OK", b"made")) as service,
    ):
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"2": {"transformer": "http", "options": {"url": broken.url}, "max_attempts": 1}}
        )
        first = run_cycle(start_cycle(body=b"x"))
        configure_profiles(tiers={"2": {"transformer": "http", "options": {"url": service.url}}})
        second = run_again(first.pk)
        third = run_again(first.pk)
        assert third.status == "success"
        fourth = run_again(second.pk)
    assert fourth.status == "success"
    assert len(service.requests) == 1
    succeeded = [
        keys(receiver)[place] for place in range(2, len(receiver.requests)) if place not in {3, 4}
    ]
    assert sorted(succeeded) == sorted({str(job.delivery_id) for job in DispatchJob.objects.all()})
    assert len(succeeded) == len(set(succeeded)) == 3
    assert not DeadLetterDispatch.objects.filter(status="open").exists()


def test_a_delivery_that_was_requeued_and_delivered_is_not_sent_again(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        requeued, dismissed, _ = DeadLetterDispatch.objects.order_by("id")
        dead_letters.requeue(requeued.pk, actor=SYSTEM, reason="by hand")
        with pytest.raises(DeliveriesOpen):
            single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.REST)
        run_cycle(old.pk)
        dead_letters.dismiss(dismissed.pk, actor=SYSTEM, reason="not needed")
        plan = single.preview(old.pk, actor=SYSTEM).plan
        assert sorted(delivery.action for delivery in plan.deliveries) == [
            DeliveryAction.DELIVERED,
            DeliveryAction.DISMISSED,
            DeliveryAction.SEND,
        ]
        new = run_again(old.pk)
    assert len(receiver.requests) == 5
    assert new.status == "success"
    assert [(stage["done"], stage["total"]) for stage in new.stages][-1] == (2, 2)
    dismissed.refresh_from_db()
    assert dismissed.status == "dismissed"


def test_a_rerun_of_a_cancelled_cycle_goes_on_after_its_last_tier(settings: Any) -> None:
    with Receiver(OK) as receiver, Receiver(NO) as slow:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={
                "3": {
                    "transformer": "http",
                    "options": {"url": slow.url},
                    "max_attempts": 5,
                    "backoff_base": 30,
                }
            }
        )
        old_id = start_cycle(body=b"x")
        run_due(seconds=0.2)
        with pytest.raises(NotFinished):
            single.preview(old_id, actor=SYSTEM)
        cancel.cancel(old_id, actor=SYSTEM, reason="too slow")
        assert not receiver.requests
        configure_profiles()
        new = run_again(old_id)
    assert new.status == "success"
    # Tiers 1 and 2 had succeeded without items: the re-run normalizes them.
    assert rows(
        "SELECT tier, attempts FROM orbit_transformation WHERE cycle_id = %s ORDER BY 1", new.pk
    ) == [(1, 0), (2, 0), (3, 1)]
    assert [request.body for request in receiver.requests] == [b"x"] * 3
    assert rows("SELECT DISTINCT sha256 FROM orbit_normalizationitem") == [
        (hashlib.sha256(b"x").hexdigest(),)
    ]


def test_a_cancelled_delivery_is_sent_under_its_old_id(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        cancel.cancel(old_id, actor=SYSTEM, reason="stop")
        new = run_again(old_id)
        assert new.status == "success"
    assert sorted(keys(receiver)) == sorted(
        str(job.delivery_id) for job in DispatchJob.objects.filter(cycle_id=old_id)
    )


def test_a_rerun_whose_worker_dies_goes_on_after_its_last_checkpoint(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 1  # an attempt without a known result spends one
    with Receiver(OK) as receiver, Receiver(NO, http("200 OK", b"made")) as service:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"2": {"transformer": "http", "options": {"url": service.url}, "max_attempts": 1}}
        )
        old = run_cycle(start_cycle(body=b"x"))
        new = single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.REST)
        for stage in (
            initiation.run,
            lambda claimed_cycle: transformations.run(*transformation_arguments(claimed_cycle)),
            send_first_delivery,
        ):
            (claimed_cycle,) = lease.claim(1)
            stage(claimed_cycle)
            CycleRun.objects.filter(pk=new).update(lease_expires_at=Now(), next_due_at=Now())
        assert run_cycle(new).status == "success"
    assert (len(service.requests), len(receiver.requests)) == (2, 3)
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'unknown'") == [(1,)]
    assert [
        events(new).count(event)
        for event in ("batch_created", "item_created", "cycle_resumed", "cycle_finished")
    ] == [1, 1, 1, 1]


def transformation_arguments(
    claimed_cycle: ClaimedCycle,
) -> tuple[ClaimedCycle, UUID, dict[int, TierResult]]:
    cycle_progress = dispatch.load_progress(claimed_cycle)
    cycle_progress.read_input()
    assert cycle_progress.initiation_id is not None
    return cycle_progress.cycle, cycle_progress.initiation_id, cycle_progress.tiers


def send_first_delivery(claimed_cycle: ClaimedCycle) -> None:
    """Normalize, enqueue and claim the first delivery, as a worker does that dies then."""
    cycle_progress = dispatch.load_progress(claimed_cycle)
    write = fence.FencedWrite(claimed_cycle, finish.PREPARE_DELIVERIES.text)
    stages.add_deliveries_to(write, cycle_progress, dispatch.state())
    fence.commit(write)
    dispatch.claim_jobs(claimed_cycle, limit=1)


def test_a_cycle_without_an_endpoint_delivers_once_it_has_one(settings: Any) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    configure_profiles()
    old = run_cycle(start_cycle())
    assert (
        single.preview(old.pk, actor=SYSTEM).plan.deliveries[0].action
        is DeliveryAction.UNKNOWN_ENDPOINT
    )
    second = run_again(old.pk)
    assert (second.status, second.stages[-1]["total"]) == ("partial_success", 3)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        new = run_again(old.pk)
    assert (new.status, len(receiver.requests)) == ("success", 3)


def test_a_rerun_uses_the_current_endpoint(settings: Any) -> None:
    with Receiver(NO) as previous, Receiver(OK) as current:
        configure_endpoints(settings, default_endpoint=previous.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        configure_endpoints(settings, default_endpoint=current.url)
        assert run_again(old.pk).status == "success"
    assert len(keys(current)) == 3
    assert sorted(keys(current)) == sorted(keys(previous))


def test_a_rerun_uses_the_snapshot_of_a_removed_endpoint(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, removed=receiver.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["removed"]})
        old = run_cycle(start_cycle())
        configure_endpoints(settings, other="http://127.0.0.1:9/x")
        assert run_again(old.pk).status == "success"
    assert len(receiver.requests) == 6


def test_the_preview_writes_nothing(settings: Any) -> None:
    with Receiver(NO) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
    tables = (
        "orbit_cyclerun",
        "orbit_dispatchjob",
        "orbit_executionrecord",
        "orbit_transformation",
        "governance_audittrailentry",
    )
    row_counts = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    before = rows(row_counts)
    preview = single.preview(old.pk, actor=SYSTEM)
    assert (
        sorted(preview.plan.reused_tiers),
        preview.plan.tiers_to_run,
        len(preview.plan.to_send),
        preview.stopped,
    ) == ([1, 2, 3], [], 3, None)
    assert before == rows(row_counts)


def test_a_refused_rerun_writes_nothing(settings: Any) -> None:
    with Receiver(NO) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle()).pk

    def refuse(kind: type[OrbitError], cycle_id: UUID = old, actor: Any = SYSTEM) -> OrbitError:
        with pytest.raises(kind) as refusal:
            single.start(cycle_id, actor=actor, reason="x", source=Trigger.REST)
        return refusal.value

    refuse(CycleUnknown, uuid4())
    refuse(CycleUnknown, actor=replace(SYSTEM, namespaces=frozenset({"b"})))
    active = start_cycle()
    assert refuse(CycleActive).extra["active_cycle_run_id"] == str(active)
    stopped = single.preview(old, actor=SYSTEM).stopped
    assert stopped is not None
    assert stopped.code == "cycle_active"
    refuse(NotFinished, active)
    cancel.cancel(active, actor=SYSTEM, reason="x")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    refuse(NamespaceHalted)
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=False, mode="running")
    configure_profiles(r1={"namespace": "b"})
    refuse(NamespaceMismatch)
    configure_profiles(r1={"namespace": "a", "state": "disabled"})
    refuse(Disabled)
    rows("UPDATE orbit_runprofile SET hidden = true RETURNING 1")
    refuse(Disabled)
    assert CycleRun.objects.count() == 2
    assert DeadLetterDispatch.objects.filter(status="open").count() == 3


def test_a_raw_cycle_runs_again_raw(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(trigger.start(namespace="a", source=Trigger.REST, actor=SYSTEM).cycle_id)
        assert run_again(old.pk).status == "success"


def test_reruns_and_requeues_at_once_requeue_each_delivery_once(settings: Any) -> None:
    """Twenty rounds of four re-runs and two requeues by hand."""
    # 404 is the fault of the request: the circuit breaker stays closed.
    with Receiver(http("404 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle()).pk
        for _ in range(20):
            letters = list(
                DeadLetterDispatch.objects.filter(status="open").values_list("pk", flat=True)
            )
            assert len(letters) == 3

            def outcome(action: Any) -> str:
                try:
                    action()
                except OrbitError as refusal:
                    return refusal.code
                finally:
                    connection.close()
                return "done"

            reruns = [lambda: single.start(old, actor=SYSTEM, reason="x", source=Trigger.REST)] * 4
            requeues = [
                lambda letter=letter: dead_letters.requeue(letter, actor=SYSTEM, reason="hand")
                for letter in letters[:2]
            ]
            with ThreadPoolExecutor(6) as pool:
                outcomes = list(pool.map(outcome, [*reruns[:2], *requeues, *reruns[2:]]))
            of_reruns, of_requeues = [*outcomes[:2], *outcomes[4:]], outcomes[2:4]
            assert of_reruns.count("done") <= 1, outcomes
            assert set(of_reruns) <= {"done", "cycle_active", "deliveries_open"}, outcomes
            assert set(of_requeues) <= {"done", "already_requeued"}, outcomes
            assert not rows(
                "SELECT requeue_of_id FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL"
                " GROUP BY 1 HAVING count(*) > 1"
            )
            for cycle in CycleRun.objects.filter(next_due_at__isnull=False):
                run_cycle(cycle.pk)
    assert not rows("SELECT status FROM orbit_dispatchjob WHERE status IN ('pending', 'sending')")
