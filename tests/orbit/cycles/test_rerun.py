"""A finished cycle run again: what succeeded is taken over, what was delivered is never sent again."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

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


def again(cycle_id: UUID, reason: str = "it is mended") -> CycleRun:
    return run_cycle(single.start(cycle_id, actor=SYSTEM, reason=reason, source=Trigger.REST))


def keys(receiver: Receiver) -> list[str]:
    return [got.headers["idempotency-key"] for got in receiver.requests]


def test_what_succeeded_is_reused_and_only_what_was_not_delivered_is_delivered(
    settings: Any,
) -> None:
    with (
        Receiver(OK) as good,
        Receiver(http("410 Gone"), http("410 Gone"), http("410 Gone"), OK) as mended,
    ):
        configure_endpoints(settings, good=good.url, mended=mended.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["good", "mended"]})
        old = run_cycle(start_cycle(body=b'{"n":  1}'))
        assert old.status == "partial_success"
        new = again(old.pk)
    assert (new.status, new.rerun_of_id, new.trigger) == ("success", old.pk, "rest")
    assert (len(good.requests), len(mended.requests)) == (3, 6)
    assert sorted(keys(mended)[3:]) == sorted(keys(mended)[:3])
    assert {got.body for got in mended.requests} == {b'{"n":  1}'}
    assert {got.headers["x-orbit-cycle"] for got in mended.requests[3:]} == {str(new.pk)}
    assert (bytes(new.input), new.input_content_type, new.input_sha256) == (
        bytes(old.input),
        old.input_content_type,
        old.input_sha256,
    )
    tiers = rows(
        "SELECT t.tier, t.status, t.attempts, t.output IS NULL, t.output_sha256 = o.output_sha256, t.taken_from = o.id FROM orbit_transformation t"
        " JOIN orbit_transformation o ON o.tier = t.tier AND o.cycle_id = %s WHERE t.cycle_id = %s ORDER BY 1",
        old.pk,
        new.pk,
    )
    assert tiers == [(tier, "success", 0, True, True, True) for tier in (1, 2, 3)]
    assert rows("SELECT count(*) FROM orbit_normalizationitem") == [(3,)]
    pairs = "SELECT normalization_item_id, delivery_id FROM orbit_dispatchjob WHERE cycle_id = %s AND endpoint_key = 'mended' ORDER BY 1"
    assert rows(pairs, new.pk) == rows(pairs, old.pk)
    assert rows("SELECT count(*) FROM orbit_dispatchjob WHERE cycle_id = %s", new.pk) == [(3,)]
    letters = DeadLetterDispatch.objects.filter(cycle=old).select_related("requeued_job")
    assert {
        (
            letter.status,
            letter.requeued_job.cycle_id,
            letter.requeued_job.requeue_of_id == letter.job_id,
        )
        for letter in letters
    } == {("requeued", new.pk, True)}
    assert [(stage["done"], stage["total"], stage["ok"]) for stage in new.stages] == [
        (1, 1, True),
        (3, 3, True),
        (3, 3, True),
        (6, 6, True),
    ]


def test_a_rerun_has_all_checkpoints_and_both_cycles_have_it_on_record(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = again(old.pk, "the receiver is back")
    marks = {
        row[0]
        for row in rows("SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s", new.pk)
    }
    assert marks == {
        row[0]
        for row in rows("SELECT stage FROM orbit_cyclecheckpoint WHERE cycle_id = %s", old.pk)
    }
    assert len(marks) == 9
    told = [
        row[0]
        for row in rows(
            "SELECT event FROM orbit_executionrecord WHERE cycle_id = %s ORDER BY id", new.pk
        )
    ]
    assert told[:2] == ["cycle_rerun_of", "tier_taken_over"]
    counted = {
        event: told.count(event)
        for event in (
            "tier_taken_over",
            "job_enqueued",
            "tier_attempt",
            "no_items",
            "stage_started",
            "stage_finished",
        )
    }
    assert counted == {
        "tier_taken_over": 3,
        "job_enqueued": 3,
        "tier_attempt": 0,
        "no_items": 0,
        "stage_started": 4,
        "stage_finished": 4,
    }
    of_old = [
        row[0]
        for row in rows(
            "SELECT event FROM orbit_executionrecord WHERE cycle_id = %s ORDER BY id", old.pk
        )
    ]
    assert (of_old.count("cycle_rerun"), of_old.count("dead_letter_requeued")) == (1, 3)
    (entry,) = AuditTrailEntry.objects.filter(action="cycle.rerun")
    assert (entry.object_id, entry.namespace, entry.reason, entry.after["cycle_run_id"]) == (
        str(old.pk),
        "a",
        "the receiver is back",
        str(new.pk),
    )
    assert (entry.after["deliveries"], entry.after["dead_letters_requeued"]) == (3, 3)
    # The value was metered with the first one, deliveries with each.
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
        new = again(old.pk)
    was, now = detail.read(old.pk, actor=SYSTEM), detail.read(new.pk, actor=SYSTEM)
    assert ([row.pk for row in was.reruns], now.cycle.rerun_of_id, now.reruns) == (
        [new.pk],
        old.pk,
        [],
    )
    assert (was.deliveries.delivered, now.deliveries.delivered, len(was.jobs), len(now.jobs)) == (
        3,
        3,
        6,
        3,
    )


def test_a_2xx_that_a_lost_worker_brings_cancels_the_copies_that_reruns_made(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        sent = dispatch.claim_jobs(claimed_cycle, limit=1)
        cancel.cancel(old_id, actor=SYSTEM, reason="stop")
        rows(
            "UPDATE orbit_dispatchjob SET status = 'cancelled', finished_at = now() WHERE id = %s RETURNING 1",
            sent[0].job_id,
        )
        first = single.start(old_id, actor=SYSTEM, reason="x", source=Trigger.REST)
        cancel.cancel(first, actor=SYSTEM, reason="x")
        second = single.start(first, actor=SYSTEM, reason="x", source=Trigger.REST)
        receipts.save_late_successes(
            claimed_cycle,
            [attempt.resolve(sent[0], Response(200, None, "", b"", None, 1.0, True, None))],
        )
        said = dict(
            rows(
                "SELECT last_error, status FROM orbit_dispatchjob WHERE cycle_id = %s AND delivery_id = %s",
                second,
                sent[0].delivery_id,
            )
        )
        assert said == {"the original was delivered late": "cancelled"}
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
        new = again(old.pk)
    assert (old.status, new.status) == ("partial_success", "success")
    assert [got.body for got in service.requests] == [b"old input"]
    assert [got.body for got in receiver.requests] == [b"old input", b"old input", b"made"]
    assert len(set(keys(receiver))) == 3
    assert (old.profile_revision, new.profile_revision) == (1, 2)
    assert rows(
        "SELECT tier, attempts, taken_from IS NOT NULL FROM orbit_transformation WHERE cycle_id = %s ORDER BY 1",
        new.pk,
    ) == [(1, 0, True), (2, 1, False), (3, 0, True)]
    assert [(stage["done"], stage["total"]) for stage in new.stages] == [
        (1, 1),
        (3, 3),
        (3, 3),
        (3, 3),
    ]


def test_a_rerun_of_what_was_wholly_delivered_sends_nothing_and_succeeds(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = again(old.pk)
        assert again(new.pk).status == "success"
        assert again(old.pk).status == "success"
    assert (old.status, new.status, len(receiver.requests)) == ("success", "success", 3)
    assert DispatchJob.objects.count() == 3


def test_what_a_rerun_did_the_next_one_does_not_do_again_whichever_it_is_of(settings: Any) -> None:
    """The first fails in tier 2 and in its deliveries; a re-run mends the tier, another one the deliveries."""
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
        second = again(first.pk)
        third = again(first.pk)
        assert third.status == "success"
        fourth = again(second.pk)
    assert fourth.status == "success"
    assert len(service.requests) == 1
    succeeded = [
        keys(receiver)[place] for place in range(2, len(receiver.requests)) if place not in {3, 4}
    ]
    assert sorted(succeeded) == sorted({str(job.delivery_id) for job in DispatchJob.objects.all()})
    assert len(succeeded) == len(set(succeeded)) == 3
    assert not DeadLetterDispatch.objects.filter(status="open").exists()


def test_a_delivery_that_was_requeued_by_hand_and_made_is_not_made_again(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        one, other, _ = DeadLetterDispatch.objects.order_by("id")
        dead_letters.requeue(one.pk, actor=SYSTEM, reason="by hand")
        with pytest.raises(DeliveriesOpen):
            single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.REST)
        run_cycle(old.pk)
        dead_letters.dismiss(other.pk, actor=SYSTEM, reason="not wanted")
        plan = single.preview(old.pk, actor=SYSTEM).plan
        assert sorted(sent.action for sent in plan.deliveries) == [
            DeliveryAction.DELIVERED,
            DeliveryAction.DISMISSED,
            DeliveryAction.SEND,
        ]
        new = again(old.pk)
    assert len(receiver.requests) == 5
    assert new.status == "success"
    assert [(stage["done"], stage["total"]) for stage in new.stages][-1] == (2, 2)
    other.refresh_from_db()
    assert other.status == "dismissed"


def test_a_cancelled_cycle_is_taken_up_where_it_was(settings: Any) -> None:
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
        new = again(old_id)
    assert new.status == "success"
    # Tiers 1 and 2 had succeeded and become no item: they are normalized by the re-run.
    assert rows(
        "SELECT tier, attempts FROM orbit_transformation WHERE cycle_id = %s ORDER BY 1", new.pk
    ) == [(1, 0), (2, 0), (3, 1)]
    assert [got.body for got in receiver.requests] == [b"x"] * 3
    assert rows("SELECT DISTINCT sha256 FROM orbit_normalizationitem") == [
        (hashlib.sha256(b"x").hexdigest(),)
    ]


def test_a_cancelled_delivery_is_made_under_its_old_id(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        cancel.cancel(old_id, actor=SYSTEM, reason="stop")
        new = again(old_id)
        assert new.status == "success"
    assert sorted(keys(receiver)) == sorted(
        str(job.delivery_id) for job in DispatchJob.objects.filter(cycle_id=old_id)
    )


def test_a_rerun_whose_worker_dies_goes_on_where_it_was(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 1  # what may have arrived spends one
    with Receiver(OK) as receiver, Receiver(NO, http("200 OK", b"made")) as service:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            tiers={"2": {"transformer": "http", "options": {"url": service.url}, "max_attempts": 1}}
        )
        old = run_cycle(start_cycle(body=b"x"))
        new = single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.REST)
        for stage in (
            initiation.run,
            lambda claimed_cycle: transformations.run(*_begun(claimed_cycle)),
            _sent,
        ):
            (claimed_cycle,) = lease.claim(1)
            stage(claimed_cycle)
            rows(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s RETURNING 1",
                new,
            )
        assert run_cycle(new).status == "success"
    assert (len(service.requests), len(receiver.requests)) == (2, 3)
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'unknown'") == [(1,)]
    told = [
        row[0] for row in rows("SELECT event FROM orbit_executionrecord WHERE cycle_id = %s", new)
    ]
    assert [
        told.count(event)
        for event in ("batch_created", "item_created", "cycle_resumed", "cycle_finished")
    ] == [1, 1, 1, 1]


def _begun(claimed_cycle: ClaimedCycle) -> tuple[ClaimedCycle, UUID, dict[int, TierResult]]:
    found = dispatch.load_progress(claimed_cycle)
    found.read_input()
    assert found.initiation_id is not None
    return found.cycle, found.initiation_id, found.tiers


def _sent(claimed_cycle: ClaimedCycle) -> None:
    """Normalize, enqueue, and be gone when the first delivery is on its way."""
    found = dispatch.load_progress(claimed_cycle)
    write = fence.FencedWrite(claimed_cycle, finish.PREPARE_DELIVERIES.text)
    stages.add_deliveries_to(write, found, dispatch.state())
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
    still = again(old.pk)
    assert (still.status, still.stages[-1]["total"]) == ("partial_success", 3)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        new = again(old.pk)
    assert (new.status, len(receiver.requests)) == ("success", 3)


def test_it_goes_to_the_endpoint_as_it_is_now(settings: Any) -> None:
    with Receiver(NO) as then, Receiver(OK) as now:
        configure_endpoints(settings, default_endpoint=then.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        configure_endpoints(settings, default_endpoint=now.url)
        assert again(old.pk).status == "success"
    assert keys(now) and sorted(keys(now)) == sorted(keys(then))


def test_an_endpoint_that_is_gone_gets_it_as_it_was(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as then:
        configure_endpoints(settings, then=then.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["then"]})
        old = run_cycle(start_cycle())
        configure_endpoints(settings, other="http://127.0.0.1:9/x")
        assert again(old.pk).status == "success"
    assert len(then.requests) == 6


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
    counted = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    before = rows(counted)
    preview = single.preview(old.pk, actor=SYSTEM)
    assert (
        sorted(preview.plan.reused_tiers),
        preview.plan.tiers_to_run,
        len(preview.plan.to_send),
        preview.stopped,
    ) == ([1, 2, 3], [], 3, None)
    assert before == rows(counted)


def test_what_is_not_to_be_run_again_is_refused_and_nothing_is_written(settings: Any) -> None:
    with Receiver(NO) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle()).pk

    def refused(kind: type[OrbitError], cycle_id: UUID = old, actor: Any = SYSTEM) -> OrbitError:
        with pytest.raises(kind) as found:
            single.start(cycle_id, actor=actor, reason="x", source=Trigger.REST)
        return found.value

    refused(CycleUnknown, uuid4())
    refused(CycleUnknown, actor=replace(SYSTEM, namespaces=frozenset({"b"})))
    active = start_cycle()
    assert refused(CycleActive).extra["active_cycle_run_id"] == str(active)
    stopped = single.preview(old, actor=SYSTEM).stopped
    assert stopped is not None and stopped.code == "cycle_active"
    refused(NotFinished, active)
    cancel.cancel(active, actor=SYSTEM, reason="x")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    refused(NamespaceHalted)
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=False, mode="running")
    configure_profiles(r1={"namespace": "b"})
    refused(NamespaceMismatch)
    configure_profiles(r1={"namespace": "a", "state": "disabled"})
    refused(Disabled)
    rows("UPDATE orbit_runprofile SET hidden = true RETURNING 1")
    refused(Disabled)
    assert CycleRun.objects.count() == 2
    assert DeadLetterDispatch.objects.filter(status="open").count() == 3


def test_a_raw_cycle_runs_again_raw(settings: Any) -> None:
    with Receiver(NO, NO, NO, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(trigger.start(namespace="a", source=Trigger.REST, actor=SYSTEM).cycle_id)
        assert again(old.pk).status == "success"


def test_of_many_reruns_and_requeues_at_once_each_delivery_has_one_copy(settings: Any) -> None:
    """Twenty rounds of four re-runs, a trigger and three people who requeue by hand."""
    # An answer that says nothing against the receiver: its circuit stays closed.
    with Receiver(http("404 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle()).pk
        for _ in range(20):
            letters = list(
                DeadLetterDispatch.objects.filter(status="open").values_list("pk", flat=True)
            )
            assert len(letters) == 3

            def attempt(act: Any) -> str:
                try:
                    act()
                except OrbitError as refusal:
                    return refusal.code
                finally:
                    connection.close()
                return "done"

            acts = [lambda: single.start(old, actor=SYSTEM, reason="x", source=Trigger.REST)] * 4
            hands = [
                lambda letter=letter: dead_letters.requeue(letter, actor=SYSTEM, reason="hand")
                for letter in letters[:2]
            ]
            with ThreadPoolExecutor(6) as pool:
                said = list(pool.map(attempt, [*acts[:2], *hands, *acts[2:]]))
            runs, by_hand = [*said[:2], *said[4:]], said[2:4]
            assert runs.count("done") <= 1, said
            assert set(runs) <= {"done", "cycle_active", "deliveries_open"}, said
            assert set(by_hand) <= {"done", "already_requeued"}, said
            assert not rows(
                "SELECT requeue_of_id FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
            )
            for cycle in CycleRun.objects.filter(next_due_at__isnull=False):
                run_cycle(cycle.pk)
    assert not rows("SELECT status FROM orbit_dispatchjob WHERE status IN ('pending', 'sending')")
