"""Nothing changes without a trace: every route, page, action and command that changes something leaves exactly one entry.

What there is is read from the code, so a new one that nobody listed in ``deeds`` fails here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model

from governance.models import AuditTrailEntry, OperationRun
from tests.contract import deeds
from tests.contract.world import World
from tests.support import objects, routes
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles
from tests.support.pipeline import configure_endpoints


@pytest.fixture
def world(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/hook")
    settings.ORBIT_CONFIG_DIR, settings.ORBIT_PASSWORD = tmp_path, "a-long-password-1"
    documents = [profile("p1")], [run_profile("r1", "p1", "a")]
    store_profiles(*documents)
    write_profiles(tmp_path, [profile("p1", label="Another")], documents[1])
    return World(tmp_path)


def one_entry(deed: Any) -> AuditTrailEntry:
    before = AuditTrailEntry.objects.count()
    answer = deed()
    said = (
        getattr(answer, "content", b"")[:2000] if getattr(answer, "status_code", 0) >= 400 else ""
    )
    entries = list(AuditTrailEntry.objects.order_by("id"))[before:]
    assert len(entries) == 1, ([(entry.action, entry.object_id) for entry in entries], answer, said)
    assert entries[0].actor
    assert entries[0].object_type
    return entries[0]


def listed(*tables: Mapping[str, Any]) -> set[str]:
    return {name.partition(": ")[0] for table in tables for name in table}


def test_everything_that_there_is_is_listed_and_nothing_else() -> None:
    pages = (
        set(routes.console())
        - set(routes.actions())
        - (routes.of_tables() - routes.drawn_by_us() - listed(deeds.FORMS))
    )
    for found, *tables in (
        (routes.writing(), deeds.ROUTES, deeds.SILENT_ROUTES),
        (routes.actions(), deeds.ACTIONS),
        (pages, deeds.FORMS, deeds.SILENT_PAGES),
        (routes.commands(), deeds.COMMANDS, deeds.SILENT_COMMANDS),
    ):
        assert sorted(set(found) - listed(*tables)) == []
        assert sorted(listed(*tables) - set(found)) == []
    assert all(
        reason
        for table in (deeds.SILENT_ROUTES, deeds.SILENT_PAGES, deeds.SILENT_COMMANDS)
        for reason in table.values()
    )


@pytest.mark.parametrize("route", deeds.ROUTES)
def test_a_route_leaves_one_entry_with_its_requests_id(world: World, route: str) -> None:
    assert one_entry(deeds.ROUTES[route](world)).request_id


@pytest.mark.parametrize("name", deeds.ACTIONS)
def test_an_action_leaves_one_entry_with_its_reason(world: World, name: str) -> None:
    made = deeds.ACTIONS[name](world)
    number = made.pk if isinstance(made, Model) else made
    path = "/" + routes.console()[name].replace("<path:object_id>", str(number))
    entry = one_entry(
        lambda: world.browser.post(
            path, {"asked": "1", "reason": "because", **deeds.ASKED.get(name, {})}
        )
    )
    assert (entry.actor, entry.reason) == ("root", "because")
    assert entry.request_id


@pytest.mark.parametrize("name", deeds.ACTIONS)
def test_an_action_on_a_selection_leaves_one_entry_for_each_object(world: World, name: str) -> None:
    made = deeds.ACTIONS[name](world)
    model, action = routes.actions()[name]
    number = made.pk if isinstance(made, Model) else made
    chosen = {
        "action": action.name,
        "_selected_action": str(number),
        "asked": "1",
        "reason": "because",
        **deeds.ASKED.get(name, {}),
    }
    entry = one_entry(
        lambda: world.browser.post(
            f"/admin/{model._meta.app_label}/{model._meta.model_name}/", chosen
        )
    )
    assert (entry.actor, entry.reason) == ("root", "because")


@pytest.mark.parametrize("name", deeds.FORMS)
def test_a_form_leaves_one_entry(world: World, name: str) -> None:
    entry = one_entry(deeds.FORMS[name](world))
    assert (entry.actor, bool(entry.request_id)) == ("root", True)


@pytest.mark.parametrize("words", deeds.COMMANDS)
def test_a_command_leaves_one_entry(world: World, words: str) -> None:
    assert one_entry(deeds.COMMANDS[words](world)).actor.startswith("command:")


@pytest.mark.parametrize("name", deeds.NOTHING)
def test_what_changes_nothing_leaves_none(world: World, name: str) -> None:
    deed = deeds.NOTHING[name](world)
    before = AuditTrailEntry.objects.count()
    answer = deed()
    assert getattr(answer, "status_code", 200) in {200, 302}, answer.content[:2000]
    assert AuditTrailEntry.objects.count() == before


def test_looking_leaves_none(world: World) -> None:
    world.operation()
    world.schedule()
    letter, cycle = world.letter(), world.cycle()
    known = {"cycle_id": cycle.pk, "letter_id": letter, "profile_id": "p1", "run_profile_id": "r1", "namespace": "a", "number": 1, "name": "cycles",
             "run_id": OperationRun.objects.get().pk}  # fmt: skip
    before = AuditTrailEntry.objects.count()
    answers = [world.api.get(objects.url_of(route, known)) for route in routes.reading()]
    for pattern in routes.console().values():
        if "(" not in pattern and "logout" not in pattern and "object_id" not in pattern:
            answers.append(world.browser.get(objects.url_of(pattern, known, id=world.victim.pk)))
    for name, pattern in routes.console().items():
        model = next(
            (
                model
                for model in admin.site._registry
                if name.startswith(f"{model._meta.app_label}_{model._meta.model_name}_")
            ),
            None,
        )
        row = model._default_manager.first() if model is not None else None
        if "object_id" in pattern and row is not None:
            answers.append(world.browser.get(objects.url_of(pattern, known, object_id=row.pk)))
    assert sum(answer.status_code == 200 for answer in answers) > 140
    assert AuditTrailEntry.objects.count() == before
