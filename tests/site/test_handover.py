"""The handover: what users and Orbit did in some hours, on one page with one link."""

from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.kernel import clock
from governance.kernel.identifiers import uuid7_floor
from governance.models import Alert
from governance.namespaces import halts
from governance.operations import ledger
from orbit_site import handover
from tests.support.callers import actor_of, console, create_user
from tests.support.configuration import active_cycle

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 29, 6, tzinfo=UTC)


def _read(user: Any = None, **more: Any) -> handover.Handover:
    actor = SYSTEM if user is None else actor_of(user)
    now = clock.read() + timedelta(minutes=1)
    return handover.read(actor, since=now - timedelta(hours=8), until=now, **more)


def test_a_shift_is_one_sentence_and_its_entries_are_grouped_by_object() -> None:
    cycle = active_cycle("eu")
    halts.halt("eu", actor=SYSTEM, reason="receiver doubles orders")
    with audit.transaction():
        for number in range(7):
            audit.record(Action.CYCLE_CANCELLED, actor="ann", object_id="c1", reason=f"r{number}")
    ledger.ensure_run_with_identity("eu", "ops.try", {}, initiator="ann", reason="once")
    shift = _read()
    assert shift.cycles == [(cycle.status, 1)]
    assert "1 cycle began; " in shift.sentence
    assert "1 stop still in force." in shift.sentence
    c1 = next(change for change in shift.changes if change.object_id == "c1")
    assert [entry.reason for entry in c1.first] == ["r6", "r5", "r4", "r3", "r2"]
    assert (c1.more, c1.query) == (2, "object_type__exact=cycle&object_id__exact=c1")
    assert [(run.type, run.initiator) for run in shift.operations] == [("ops.try", "ann")]
    assert dict(shift.own)["namespace.halted"] == 1
    assert [stop.reason for stop in shift.stops] == ["receiver doubles orders"]


def test_alerts_that_began_and_those_that_are_open_are_in_it() -> None:
    for number, (days, is_open, namespace) in enumerate(
        [(0, True, "a"), (0, False, "a"), (3, True, "b"), (3, False, "a")]
    ):
        at = clock.read() - timedelta(days=days)
        Alert.objects.create(
            id=UUID(int=uuid7_floor(at).int + number),
            condition="dead_letters",
            object=str(number),
            namespace=namespace,
            summary=f"alert {number}",
            resolved_at=None if is_open else at,
        )
    assert sorted(alert.object for alert in _read().alerts) == ["0", "1", "2"]
    assert "2 open alerts" in _read().sentence
    bea = create_user("bea", "Viewer", "b")
    assert [alert.object for alert in _read(bea).alerts] == ["2"]


def test_what_others_namespaces_did_is_not_in_it() -> None:
    active_cycle("a")
    halts.halt("a", actor=SYSTEM, reason="secret")
    ledger.ensure_run_with_identity("a", "ops.try", {}, initiator="ann")
    bea = create_user("bea", "Viewer", "b")
    for shift in (_read(bea), _read(bea, namespace="a"), _read(namespace="b")):
        assert (shift.cycles, shift.operations, shift.stops, shift.changes) == ([], [], [], [])
    assert len(_read(namespace="a").stops) == 1


def test_it_is_bounded_and_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(handover, "MOST_ENTRIES", 3)
    with audit.transaction():
        for number in range(5):
            audit.record(Action.CYCLE_CANCELLED, actor="ann", object_id=f"c{number}")
    with CaptureQueriesContext(connection) as queries:
        shift = _read()
    assert (len(shift.changes), shift.is_cut) == (3, True)
    assert len(queries) <= 9


@pytest.mark.parametrize(
    ("hours", "until", "expected"),
    [
        ("", "", (8, NOW)),
        ("4", "", (4, NOW)),
        ("999", "", (72, NOW)),
        ("0", "", (1, NOW)),
        ("-3", "", (8, NOW)),
        ("x" * 10_000, "", (8, NOW)),
        ("8", "2026-03-28T22:00:00+00:00", (8, datetime(2026, 3, 28, 22, tzinfo=UTC))),
        ("8", "2027-01-01T00:00:00+00:00", (8, NOW)),
        ("8", "2026-03-28T22:00:00", (8, NOW)),
        ("8", "yesterday", (8, NOW)),
        ("8", "0001-01-01T00:00:00+14:00", (8, datetime(1970, 1, 1, tzinfo=UTC))),
    ],
)
def test_an_address_means_some_hours_until_a_time(
    hours: str, until: str, expected: tuple[int, datetime]
) -> None:
    length, end = expected
    assert handover.window(hours, until, now=NOW) == (end - timedelta(hours=length), end)


def test_the_page_links_to_itself_as_it_is_now_and_escapes() -> None:
    with audit.transaction():
        audit.record(Action.CYCLE_CANCELLED, actor="<b>", object_id="c", reason="<script>")
    browser = console(create_user("vic", "Viewer"))
    answer: Any = browser.get("/admin/handover/?hours=8")
    page = answer.content.decode()
    link = unescape(page.partition('">Link to this page')[0].rpartition('href="')[2])
    assert link.startswith("?hours=8&until=20")
    assert "<script>" not in page.split("</head>")[1].replace("<script src", "")
    assert browser.get(f"/admin/handover/{link}").status_code == 200
    assert 'href="/admin/handover/"' in browser.get("/admin/").content.decode()
