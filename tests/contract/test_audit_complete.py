"""Every action that changes something leaves one audit entry.

The actions are read from the code, so an unlisted one fails here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model

from governance.models import AuditTrailEntry, OperationRun
from tests.contract import actions
from tests.contract.installation import Installation
from tests.support import objects, routes
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles
from tests.support.pipeline import configure_endpoints


@pytest.fixture
def installation(db: None, tmp_path: Path, settings: Any) -> Installation:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/hook")
    settings.ORBIT_CONFIG_DIR, settings.ORBIT_PASSWORD = tmp_path, "a-long-password-1"
    settings.ORBIT_PHASE4_ENABLED = settings.ORBIT_PHASE4_ALLOW_MUTATION = True
    documents = [profile("p1")], [run_profile("r1", "p1", "a")]
    store_profiles(*documents)
    write_profiles(tmp_path, [profile("p1", label="Another")], documents[1])
    return Installation(tmp_path)


def the_only_entry(action: Callable[[], Any]) -> AuditTrailEntry:
    """Do ``action`` and return its audit entry."""
    before = AuditTrailEntry.objects.count()
    response = action()
    failed = getattr(response, "status_code", 0) >= 400
    content = getattr(response, "content", b"")[:2000] if failed else ""
    entries = list(AuditTrailEntry.objects.order_by("id"))[before:]
    names = [(entry.action, entry.object_id) for entry in entries]
    assert len(entries) == 1, (names, response, content)
    assert entries[0].actor
    assert entries[0].object_type
    return entries[0]


def listed(*tables: Mapping[str, Any]) -> set[str]:
    return {name.partition(": ")[0] for table in tables for name in table}


def test_the_lists_are_complete() -> None:
    pages = (
        set(routes.console())
        - set(routes.actions())
        - (routes.of_tables() - routes.drawn_by_us() - listed(actions.FORMS))
    )
    for names, *tables in (
        (routes.writing(), actions.ROUTES, actions.SILENT_ROUTES),
        (routes.actions(), actions.ACTIONS),
        (pages, actions.FORMS, actions.SILENT_PAGES),
        (routes.commands(), actions.COMMANDS, actions.SILENT_COMMANDS),
    ):
        assert sorted(set(names) - listed(*tables)) == []
        assert sorted(listed(*tables) - set(names)) == []
    assert all(
        reason
        for table in (actions.SILENT_ROUTES, actions.SILENT_PAGES, actions.SILENT_COMMANDS)
        for reason in table.values()
    )


@pytest.mark.parametrize("route", actions.ROUTES)
def test_a_route_leaves_one_entry_with_its_requests_id(
    installation: Installation, route: str
) -> None:
    assert the_only_entry(actions.ROUTES[route](installation)).request_id


@pytest.mark.parametrize("name", actions.ACTIONS)
def test_an_action_leaves_one_entry_with_its_reason(installation: Installation, name: str) -> None:
    target = actions.ACTIONS[name](installation)
    target_id = target.pk if isinstance(target, Model) else target
    path = "/" + routes.console()[name].replace("<path:object_id>", str(target_id))
    entry = the_only_entry(
        lambda: installation.browser.post(
            path, {"asked": "1", "reason": "because", **actions.FIELDS.get(name, {})}
        )
    )
    assert (entry.actor, entry.reason) == ("root", "because")
    assert entry.request_id


@pytest.mark.parametrize("name", sorted(set(actions.ACTIONS) - actions.FOR_ONE_OBJECT))
def test_an_action_on_a_selection_leaves_one_entry_for_each_object(
    installation: Installation, name: str
) -> None:
    target = actions.ACTIONS[name](installation)
    model, action = routes.actions()[name]
    target_id = target.pk if isinstance(target, Model) else target
    chosen = {
        "action": action.name,
        "_selected_action": str(target_id),
        "asked": "1",
        "reason": "because",
        **actions.FIELDS.get(name, {}),
    }
    entry = the_only_entry(
        lambda: installation.browser.post(
            f"/admin/{model._meta.app_label}/{model._meta.model_name}/", chosen
        )
    )
    assert (entry.actor, entry.reason) == ("root", "because")


@pytest.mark.parametrize("name", actions.FORMS)
def test_a_form_leaves_the_only_entry(installation: Installation, name: str) -> None:
    entry = the_only_entry(actions.FORMS[name](installation))
    assert (entry.actor, bool(entry.request_id)) == ("root", True)


@pytest.mark.parametrize("words", actions.COMMANDS)
def test_a_command_leaves_the_only_entry(installation: Installation, words: str) -> None:
    assert the_only_entry(actions.COMMANDS[words](installation)).actor.startswith("command:")


@pytest.mark.parametrize("name", actions.NO_CHANGE)
def test_what_changes_nothing_leaves_none(installation: Installation, name: str) -> None:
    action = actions.NO_CHANGE[name](installation)
    before = AuditTrailEntry.objects.count()
    response = action()
    assert getattr(response, "status_code", 200) in {200, 302}, response.content[:2000]
    assert AuditTrailEntry.objects.count() == before


def test_reading_leaves_none(installation: Installation) -> None:
    installation.operation_run()
    installation.schedule()
    letter, cycle = installation.dead_letter(), installation.cycle()
    proposal = objects.create_proposal()
    ids = {
        "cycle_id": cycle.pk,
        "letter_id": letter,
        "proposal_id": proposal,
        "profile_id": "p1",
        "run_profile_id": "r1",
        "namespace": "a",
        "number": 1,
        "name": "cycles",
        "run_id": OperationRun.objects.get().pk,
    }
    before = AuditTrailEntry.objects.count()
    answers = [installation.api.get(objects.url_of(route, ids)) for route in routes.reading()]
    for pattern in routes.console().values():
        if "(" not in pattern and "logout" not in pattern and "object_id" not in pattern:
            answers.append(
                installation.browser.get(
                    objects.url_of(pattern, ids, id=installation.other_user.pk)
                )
            )
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
            answers.append(installation.browser.get(objects.url_of(pattern, ids, object_id=row.pk)))
    assert sum(answer.status_code == 200 for answer in answers) > 140
    assert AuditTrailEntry.objects.count() == before
