"""Nothing changes without a trace: every route, page, action and command that changes something leaves exactly one entry.

What there is is read from the code, so a new one that nobody listed in ``deeds`` fails here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model

from governance.models import AuditTrailEntry
from orbit.dispatch import enqueue
from tests.contract import deeds
from tests.contract.deeds import World
from tests.support import routes
from tests.support.configuration import profile, run_profile, store, write
from tests.support.pipeline import endpoints


@pytest.fixture
def world(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    # What an earlier test's transaction took back isn't known any more.
    monkeypatch.setattr(enqueue, "_known", {})
    endpoints(settings, default_endpoint="http://127.0.0.1:9/hook")
    settings.ORBIT_CONFIG_DIR, settings.ORBIT_PASSWORD = tmp_path, "a-long-password-1"
    documents = [profile("p1")], [run_profile("r1", "p1", "a")]
    store(*documents)
    write(tmp_path, [profile("p1", label="Another")], documents[1])
    return World(tmp_path)


def one_entry(deed: Any) -> AuditTrailEntry:
    before = AuditTrailEntry.objects.count()
    answer = deed()
    said = getattr(answer, "content", b"")[:2000] if getattr(answer, "status_code", 0) >= 400 else ""
    entries = list(AuditTrailEntry.objects.order_by("id"))[before:]
    assert len(entries) == 1, ([(entry.action, entry.object_id) for entry in entries], answer, said)
    assert entries[0].actor
    assert entries[0].object_type
    return entries[0]


def unlisted(found: Any, *tables: Mapping[str, Any]) -> list[str]:
    return sorted(set(found) - {name for table in tables for name in table})


def outdated(found: Any, *tables: Mapping[str, Any]) -> list[str]:
    return sorted({name for table in tables for name in table} - set(found))


def test_everything_that_there_is_is_listed_and_nothing_else() -> None:
    pages = set(routes.console()) - set(routes.actions()) - (routes.of_tables() - set(deeds.FORMS))
    for found, *tables in (
        (routes.writing(), deeds.ROUTES, deeds.SILENT_ROUTES),
        (routes.actions(), deeds.ACTIONS),
        (pages, deeds.FORMS, deeds.SILENT_PAGES),
        (routes.commands(), deeds.COMMANDS, deeds.SILENT_COMMANDS),
    ):
        assert unlisted(found, *tables) == []
        assert outdated(found, *tables) == []
    assert all(reason for table in (deeds.SILENT_ROUTES, deeds.SILENT_PAGES, deeds.SILENT_COMMANDS) for reason in table.values())


@pytest.mark.parametrize("route", deeds.ROUTES)
def test_a_route_leaves_one_entry_with_its_requests_id(world: World, route: str) -> None:
    assert one_entry(deeds.ROUTES[route](world)).request_id


@pytest.mark.parametrize("name", deeds.ACTIONS)
def test_an_action_leaves_one_entry_with_its_reason(world: World, name: str) -> None:
    made = deeds.ACTIONS[name](world)
    number = made.pk if isinstance(made, Model) else made
    path = "/" + routes.console()[name].replace("<path:object_id>", str(number))
    entry = one_entry(lambda: world.browser.post(path, {"asked": "1", "reason": "because", **deeds.ASKED.get(name, {})}))
    assert (entry.actor, entry.reason) == ("root", "because")
    assert entry.request_id


@pytest.mark.parametrize("name", deeds.FORMS)
def test_a_form_leaves_one_entry(world: World, name: str) -> None:
    entry = one_entry(deeds.FORMS[name](world))
    assert (entry.actor, bool(entry.request_id)) == ("root", True)


@pytest.mark.parametrize("words", deeds.COMMANDS)
def test_a_command_leaves_one_entry(world: World, words: str) -> None:
    assert one_entry(deeds.COMMANDS[words](world)).actor.startswith("command:")


def test_looking_leaves_none(world: World) -> None:
    letter, cycle = world.letter(), world.cycle()
    before = AuditTrailEntry.objects.count()
    known = {"uuid:cycle_id": cycle.pk, "uuid:letter_id": letter, "str:profile_id": "p1", "str:run_profile_id": "r1", "int:number": 1}
    for route in routes.reading():
        path = route
        for name, value in known.items():
            path = path.replace(f"<{name}>", str(value))
        world.api.get("/" + path)
    for pattern in routes.console().values():
        if "<" not in pattern and "(" not in pattern and "logout" not in pattern:
            world.browser.get("/" + pattern)
    assert AuditTrailEntry.objects.count() == before
