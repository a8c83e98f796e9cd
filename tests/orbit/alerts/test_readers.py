"""What the conditions of alerts are read from."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from advisory.decisions import alerts as proposals
from governance.access.actors import SYSTEM
from governance.alerts import evaluate
from governance.alerts import readers as governance
from governance.alerts.conditions import Condition, Look
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.models import Alert, GovernanceSetting
from governance.namespaces import halts
from orbit.alerts import readers
from orbit.cycles import maintenance
from orbit.models import CronTick, CycleRun, EndpointState
from orbit.states import Tick
from orbit_site import alerting
from tests.support.approved import pending
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, configure_profiles, rows, start_cycle

pytestmark = pytest.mark.django_db


def objects(look: Look) -> list[str]:
    return [observation.object for observation in look.observations]


def test_every_condition_has_a_reader() -> None:
    assert set(alerting.READERS) == set(Condition)
    assert all(read().is_complete for read in alerting.READERS.values())


def tick(schedule: str, outcome: Tick, age: timedelta = timedelta(minutes=10)) -> None:
    moment = clock.now() - age
    CronTick.objects.create(
        id=uuid7(),
        schedule=schedule,
        tick_key=str(uuid7()),
        due_at=moment,
        created_at=moment,
        outcome=outcome,
        decided_at=None if outcome == Tick.DUE else moment,
    )


def test_a_missed_tick_counts_until_another_one_is_decided() -> None:
    configure_profiles(r1={"namespace": "a"})
    tick("run-profile:r1", Tick.STARTED)
    tick("run-profile:r1", Tick.MISSED)
    tick("cycles", Tick.MISSED)
    tick("cycles", Tick.STARTED)
    (seen,) = readers.cycle_not_started().observations
    assert (seen.object, seen.namespace) == ("run-profile:r1", "a")
    assert "was missed" in seen.summary
    tick("run-profile:r1", Tick.REFUSED)
    assert objects(readers.cycle_not_started()) == []


def test_a_tick_that_nobody_starts_is_late() -> None:
    tick("cycles", Tick.DUE, timedelta(seconds=30))
    assert objects(readers.cycle_not_started()) == []
    tick("run-profiles", Tick.DUE)
    assert objects(readers.cycle_not_started()) == ["run-profiles"]


def test_a_cycle_that_does_not_finish_counts_unless_it_is_halted(settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles(r1={"namespace": "a"})
    cycle = start_cycle()
    assert objects(readers.cycle_not_finished()) == []
    CycleRun.objects.filter(pk=cycle).update(created_at=Now() - timedelta(minutes=61))
    assert objects(readers.cycle_not_finished()) == [str(cycle)]
    halts.halt("a", actor=SYSTEM, reason="because")
    assert objects(readers.cycle_not_finished()) == []


def test_dead_letters_count_by_endpoint_and_namespace(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_endpoints(settings, one="http://127.0.0.1:9", two="http://127.0.0.1:9")
    create_dead_letters(3, namespace="a", key="one")
    create_dead_letters(1, namespace="b", key="one")
    create_dead_letters(2, namespace="a", key="two")
    look = readers.dead_letters()
    assert {seen.object: seen.count for seen in look.observations} == {
        "one in a": 3,
        "one in b": 1,
        "two in a": 2,
    }
    assert look.is_complete
    evaluate.apply(Condition.DEAD_LETTERS, look, [])
    # "one in b" is behind the newest letters of its endpoint, "two in a" is over.
    monkeypatch.setattr(readers, "LETTERS", 2)
    rows("DELETE FROM orbit_deadletterdispatch WHERE endpoint_key = 'two' RETURNING id")
    create_dead_letters(2, namespace="a", key="one")
    evaluate.apply(Condition.DEAD_LETTERS, readers.dead_letters(), [])
    is_open = Alert.objects.filter(resolved_at__isnull=True).values_list("object", flat=True)
    assert {*is_open} == {"one in a", "one in b"}


def test_dead_letters_are_counted_up_to_a_bound_that_the_alert_says(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_endpoints(settings, one="http://127.0.0.1:9", two="http://127.0.0.1:9")
    monkeypatch.setattr(readers, "LETTERS", 3)
    create_dead_letters(5, namespace="a", key="one")
    create_dead_letters(2, namespace="a", key="two")
    summaries = sorted(seen.summary for seen in readers.dead_letters().observations)
    assert summaries[0].startswith("2 open dead letters at two in a, ")
    assert summaries[1].startswith("3 or more open dead letters at one in a, ")


def test_an_open_circuit_counts() -> None:
    EndpointState.objects.create(
        id=uuid7(),
        endpoint_key="aurora",
        host="h",
        opened_at=Now(),
        probe_at=Now(),
        probe_wait=1,
        last_error="HTTP 503",
    )
    assert objects(readers.endpoint_down()) == ["aurora at h"]


def test_a_halt_counts_when_it_lasts(settings: Any) -> None:
    halts.halt("a", actor=SYSTEM, reason="because")
    assert objects(governance.halted_long()) == []
    GovernanceSetting.objects.update(since=Now() - timedelta(minutes=241))
    assert objects(governance.halted_long()) == ["a"]


def test_a_proposal_counts_before_it_expires() -> None:
    store_profiles([profile()], [run_profile()])
    for hours in (-1, 23, 25):
        pending(expires_at=clock.read() + timedelta(hours=hours))
    (seen,) = proposals.proposal_expiring().observations
    assert seen.namespace == "eu"


def test_no_living_cluster_counts() -> None:
    assert objects(readers.no_cluster()) == ["cluster"]
    maintenance.heartbeat(uuid7(), host="h", pid=1, release="1", workers=1, draining=False)
    assert objects(readers.no_cluster()) == []
