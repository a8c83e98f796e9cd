"""What a stop leaves running, and what its end starts again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.models import Namespace
from governance.namespaces import halts, pauses, registry
from orbit.cycles import lease, stops
from orbit.models import CronTick, CycleRun, DeliveryReceipt
from tests.support import dispatch
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import configure_endpoints, configure_profiles, start_cycle
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.django_db


def stopped_deliveries(settings: Any, url: str) -> CycleRun:
    """Return a cycle of the halted namespace ``a`` with three deliveries in flight."""
    configure_endpoints(settings, default_endpoint=url)
    configure_profiles()
    cycle_id = start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    dispatch.claim_jobs(claimed_cycle, limit=16, worker="w")
    halts.halt("a", actor=SYSTEM, reason="a flood")
    return CycleRun.objects.get(pk=cycle_id)


def tick(schedule: str, outcome: str, due: datetime) -> None:
    CronTick.objects.create(
        id=uuid7(), schedule=schedule, tick_key=due.isoformat(), due_at=due, outcome=outcome
    )


def test_a_halt_tells_when_the_last_delivery_started_and_how_many_are_ending(settings) -> None:
    with Receiver(OK) as receiver:
        cycle = stopped_deliveries(settings, receiver.url)
    progress = stops.progress("a")
    last = DeliveryReceipt.objects.order_by("-started_at")[0]
    assert (progress.last_started_at, progress.in_flight) == (last.started_at, 3)
    assert stops.progress(None).in_flight == 3
    assert stops.progress("elsewhere").in_flight == 0
    page = console(create_user()).get(
        f"/admin/governance/namespace/{Namespace.objects.get(name='a').pk}/change/"
    )
    text = page.content.decode()
    assert "3 in flight are ending" in text
    assert f'started since <time datetime="{last.started_at:%Y-%m-%dT%H:%M:%S}' in text
    assert 'data-every="2"' in text
    assert str(cycle.pk) in text


def test_the_preview_of_a_resume_counts_cycles_deliveries_and_missed_ticks(settings) -> None:
    with Receiver(OK) as receiver:
        stopped_deliveries(settings, receiver.url)
    now = datetime.now(UTC)
    registry.ensure(["other"])
    queued = active_cycle("other")
    CycleRun.objects.filter(pk=queued.pk).update(namespace="a", status="queued", next_due_at=None)
    for schedule, outcome, due in (
        ("run-profile:r1", "refused", now),
        ("run-profile:r1", "missed", now + timedelta(seconds=1)),
        ("run-profile:r1", "started", now + timedelta(seconds=2)),
        ("run-profile:r1", "refused", now - timedelta(days=1)),
        ("run-profile:other", "refused", now),
    ):
        tick(schedule, outcome, due)
    since = now - timedelta(minutes=1)
    assert stops.resume_preview("a", since) == stops.ResumePreview(1, 1, 3, 2)
    assert stops.resume_preview("elsewhere", since) == stops.ResumePreview(0, 0, 0, 0)
    # Halted namespaces stay halted at the end of the pause; its ticks are those of all.
    assert stops.resume_preview(None, since) == stops.ResumePreview(0, 0, 0, 3)


def test_the_pages_of_resume_and_pause_show_what_goes_on() -> None:
    registry.ensure(["eu", "us"])
    active_cycle("eu")
    halts.halt("eu", actor=SYSTEM)
    browser = console(create_user())
    eu = Namespace.objects.get(name="eu").pk
    answer = browser.get(f"/admin/governance/namespace/{eu}/resume/")
    assert answer.context["preview"].active == 1
    assert "Cycles that continue" in answer.content.decode()
    active_cycle("us")
    pauses.pause(actor=SYSTEM, reason="a fire")
    answer = browser.get("/admin/pause/")
    assert answer.context["preview"].active == 1
    assert "nothing is in flight" in answer.content.decode()


def test_a_card_shows_what_runs_and_how_the_last_cycle_ended() -> None:
    store_profiles([profile()], [run_profile("r1"), run_profile("r2", state="disabled")])
    ended, active = active_cycle("eu"), None
    CycleRun.objects.filter(pk=ended.pk).update(
        status="failed", next_due_at=None, finished_at=Now()
    )
    active = active_cycle("eu")
    card = stops.activity(["eu", "default"])["eu"]
    assert (card.active_id, card.active_status) == (active.pk, "pending")
    assert (card.last_id, card.last_status) == (ended.pk, "failed")
    assert (card.queued, card.run_profiles) == (0, 1)
    assert stops.activity(["default"])["default"].last_id is None


def test_only_administrators_see_who_is_confined_to_a_namespace() -> None:
    registry.ensure(["eu"])
    create_user("bea", "Operator", "eu")
    admins = console(create_user("ada", "Administrator")).get("/admin/governance/namespace/")
    assert "Confined to it" in admins.content.decode()
    viewers = console(create_user("vic", "Viewer")).get("/admin/governance/namespace/")
    assert "bea" not in viewers.content.decode()
    assert ">eu</a>" in viewers.content.decode()
