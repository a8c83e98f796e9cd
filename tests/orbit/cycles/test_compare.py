"""Two cycles side by side: exactly what differs, first."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from orbit.cycles import compare
from orbit.cycles.rerun import single
from orbit.errors import CycleUnknown
from orbit.models import CycleRun
from orbit.states import Trigger
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")


def differing(a: CycleRun, b: CycleRun) -> dict[str, tuple[str, str]]:
    """What differs, without how long it took."""
    found = compare.read(a.pk, b.pk, actor=SYSTEM)
    rows = [
        row
        for section in found.sections
        if section.name != "Times"
        for row in section.rows
        if not row.what.endswith(": took")
    ]
    return {row.what: (row.a, row.b) for row in rows if row.differs}


def test_exactly_the_planted_differences_are_found_and_stand_first(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(OK, OK, OK, http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first = run_cycle(start_cycle(body=b"1"))
        configure_profiles(
            tiers={"3": {"transformer": "template", "options": {"template": "$payload!"}}}
        )
        second = run_cycle(start_cycle(body=b"1"))
    found = differing(first, second)
    assert found.pop("default-endpoint: delivered") == ("3", "2")
    assert found.pop("default-endpoint: dead") == ("0", "1")
    assert found.pop("default-endpoint (410): HTTP 410") == ("0", "1")
    assert found.pop("Status") == ("success", "partial success")
    assert found.pop("Profile's revision") == ("1", "2")
    assert found.pop("Tier 3: transformer") == ("passthrough", "template")
    assert len(found.pop("Tier 3: output's SHA-256")[0]) == 64
    assert {what for what in found if not what.startswith("/execution_rules/tiers")} == set()
    for section in compare.read(first.pk, second.pk, actor=SYSTEM).sections:
        assert [row.differs for row in section.rows] == sorted(
            (row.differs for row in section.rows), reverse=True
        )


def test_two_cycles_of_the_same_kind_do_not_differ_and_cost_few_queries(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        first, second = run_cycle(start_cycle()), run_cycle(start_cycle())
    assert differing(first, second) == {}
    with CaptureQueriesContext(connection) as seen:
        compare.read(first.pk, second.pk, actor=SYSTEM)
    assert len(seen) == 4


def test_a_rerun_beside_what_it_repeats(settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        old = run_cycle(start_cycle())
        new = run_cycle(single.start(old.pk, actor=SYSTEM, reason="x", source=Trigger.COMMAND))
    found = differing(old, new)
    assert found["Runs again"] == ("-", str(old.pk))
    assert found["Tier 1: outcome"] == ("success", "success (taken over)")
    # Of the first one, as its page counts it, all are delivered by now.
    assert found["default-endpoint: delivered"] == ("3", "1")


def test_what_the_person_does_not_see_is_not_there(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        ours, theirs = run_cycle(start_cycle("r1")), run_cycle(start_cycle("r2"))
    for other in (theirs.pk, uuid4()):
        with pytest.raises(CycleUnknown):
            compare.read(ours.pk, other, actor=replace(SYSTEM, namespaces=frozenset({"a"})))
