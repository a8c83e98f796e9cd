"""Two cycles side by side: differences come first."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from orbit.cycles import compare
from orbit.cycles.rerun import single
from orbit.dispatch import dead_letters
from orbit.errors import CycleUnknown
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from orbit.states import Trigger
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")


def differing_facts(a: CycleRun, b: CycleRun) -> dict[str, tuple[str, str]]:
    """Return the facts that differ, without durations."""
    facts = [
        fact
        for section in compare.read(a.pk, b.pk, actor=SYSTEM).sections
        if section.name != "Times"
        for fact in section.facts
        if not fact.name.endswith(": took")
    ]
    return {fact.name: (fact.a, fact.b) for fact in facts if fact.differs}


def test_exactly_the_planted_differences_are_reported_and_come_first(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(OK, OK, OK, http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first = run_cycle(start_cycle(body=b"1"))
        configure_profiles(
            tiers={"3": {"transformer": "template", "options": {"template": "$payload!"}}}
        )
        second = run_cycle(start_cycle(body=b"1"))
    facts = differing_facts(first, second)
    assert facts.pop("default-endpoint: delivered") == ("3", "2")
    assert facts.pop("default-endpoint: dead") == ("0", "1")
    assert facts.pop("default-endpoint (410): HTTP 410") == ("0", "1")
    assert facts.pop("Status") == ("success", "partial success")
    assert facts.pop("Profile's revision") == ("1", "2")
    assert facts.pop("Tier 3: transformer") == ("passthrough", "template")
    assert len(facts.pop("Tier 3: output's SHA-256")[0]) == 64
    assert {name for name in facts if not name.startswith("/execution_rules/tiers")} == set()
    for section in compare.read(first.pk, second.pk, actor=SYSTEM).sections:
        differs = [fact.differs for fact in section.facts]
        assert differs == sorted(differs, reverse=True)


def test_two_cycles_of_the_same_kind_do_not_differ_and_cost_few_queries(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first, second = run_cycle(start_cycle()), run_cycle(start_cycle())
    assert differing_facts(first, second) == {}
    with CaptureQueriesContext(connection) as queries:
        compare.read(first.pk, second.pk, actor=SYSTEM)
    assert len(queries) == 4


def test_a_rerun_beside_the_cycle_that_it_repeats(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_cycle(single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.COMMAND))
    facts = differing_facts(old, new)
    assert facts["Re-run of"] == ("-", str(old.pk))
    assert facts["Tier 1: outcome"] == ("success", "success (taken over)")
    # The re-run's delivery counts for the first cycle, as on its own page.
    assert facts["default-endpoint: delivered"] == ("3", "1")


def test_a_delivery_with_any_success_counts_as_delivered_whatever_became_of_its_copies(
    settings: Any,
) -> None:
    with Receiver(OK, OK, http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first, second = run_cycle(start_cycle()), run_cycle(start_cycle())
        letter = DeadLetterDispatch.objects.get()
        copy = dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again")
    # As a late success leaves them.
    ended = {"next_attempt_at": None, "finished_at": Now()}
    DispatchJob.objects.filter(pk=letter.job_id).update(status="delivered", **ended)
    DispatchJob.objects.filter(pk=copy).update(status="cancelled", **ended)
    facts = differing_facts(first, second)
    assert not [name for name in facts if name.startswith("default-endpoint: ")]


def test_cycles_that_the_user_may_not_see_are_unknown(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        visible, hidden = run_cycle(start_cycle("r1")), run_cycle(start_cycle("r2"))
    for other in (hidden.pk, uuid4()):
        with pytest.raises(CycleUnknown):
            compare.read(visible.pk, other, actor=replace(SYSTEM, namespaces=frozenset({"a"})))
