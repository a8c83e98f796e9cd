"""Another namespace doesn't exist: whoever is confined to one walks every route, page, filter, count and export, and finds nothing of the other.

Two proofs. What needs no id answers the same, byte for byte, before the other namespace's objects are there and after. What needs an
id, or names something of the other namespace, is answered as if that were not there. An address that nobody listed fails.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client

from governance.access.actors import SYSTEM
from governance.audit import trail
from governance.models import AuditTrailEntry, NamespaceGrant, OperationRun
from orbit.cycles import trigger
from orbit.dispatch import bulk
from orbit.errors import CycleActive
from orbit.models import CycleRun, DeadLetterDispatch
from orbit.states import Trigger
from tests.support import routes
from tests.support.callers import Api, api, console, person
from tests.support.configuration import active_cycle, profile, run_profile, store
from tests.support.pipeline import carry, endpoints, start
from tests.support.receiver import Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
HIDDEN = "hidden-ns"

#: What names an object of the hidden namespace in an address, by the name that routes give it.
NAMED: dict[str, Callable[[], Any]] = {
    "cycle_id": lambda: CycleRun.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "letter_id": lambda: DeadLetterDispatch.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "run_id": lambda: OperationRun.objects.filter(scope=[HIDDEN])[0].pk,
    "profile_id": lambda: "hidden-p",
    "run_profile_id": lambda: "hidden-rp",
    "number": lambda: AuditTrailEntry.objects.filter(namespace=HIDDEN)[0].pk,
}
#: Bodies that name something of the hidden namespace, for routes that change something; those without an id in their address need one.
BODIES: dict[str, list[dict[str, Any]]] = {
    "POST cycles/trigger": [{"namespace": HIDDEN}, {"run_profile_id": "hidden-rp"}],
    "POST dead-letters/requeue": [{"filter": {"namespace": HIDDEN}, "reason": "mine"}],
    "POST dead-letters/dismiss": [{"filter": {"namespace": HIDDEN}, "reason": "mine"}],
}
REASON = {"reason": "mine"}
#: Routes that concern the whole workspace, and say so.
OF_THE_WORKSPACE = {"metrics", "audit-trail/verify"}
#: Routes whose answer has nothing to do with namespaces.
OPEN = {"health", "ready"}
#: Narrowing by what is hidden, for every list that knows the parameter.
FILTERS = {"namespace": HIDDEN, "run_profile_id": "hidden-rp", "endpoint_key": "hidden-endpoint", "actor": "hidden-actor"}
#: Pages for which an address must be made by hand, or that are nobody's.
PAGES_LEFT_OUT = {"logout", "login", "app_list", "autocomplete", "jsi18n"}


def hidden_world() -> None:
    """Put one of everything into the hidden namespace: configuration, cycles that ended badly and that run, letters, runs, records, entries."""
    store([profile("hidden-p")], [run_profile("hidden-rp", "hidden-p", HIDDEN, distribution_targets=["hidden-endpoint"])])
    carry(start("hidden-rp", b'{"text": "hidden-payload"}'))
    bulk.dismiss(bulk.Filter(namespace=HIDDEN), actor=SYSTEM, reason="hidden-reason")
    active_cycle(HIDDEN)
    with pytest.raises(CycleActive):
        trigger.start(namespace=HIDDEN, source=Trigger.REST, actor=SYSTEM)
    with trail.deed():
        trail.record("thing.done", actor="hidden-actor", namespace=HIDDEN, object_type="cycle", object_id="hidden-object")
        trail.record("thing.done", actor="hidden-actor", object_type="cycle", object_id="hidden-object")


@pytest.fixture
def walker(settings: Any) -> Iterator[tuple[Api, Client]]:
    """Somebody with all powers in one namespace, where a cycle has ended, with a token and a browser."""
    store([profile("open-p")], [run_profile("open-rp", "open-p", "open-ns", distribution_targets=["open-endpoint"])])
    with Receiver(http("410 Gone", b"open-answer")) as ours, Receiver(http("410 Gone", b"hidden-answer")) as theirs:
        endpoints(settings, open_endpoint=ours.url, hidden_endpoint=theirs.url)
        carry(start("open-rp"))
        user = person("bea", "Administrator", "open-ns")
        assert NamespaceGrant.objects.count() == 1
        yield api(user), console(user)


def plain(body: bytes) -> str:
    """Return an answer without what differs between two requests: ids of requests, tokens of forms."""
    text = body.decode()
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)
    return re.sub(r'("request_id": ?"|Request <span class="mono">)[0-9a-f]{32}', "", text)


def seen(walker: tuple[Api, Client]) -> dict[str, tuple[int, str]]:
    """Return what every address answers that needs no id, plain and narrowed by what is hidden."""
    client, browser = walker
    found = {}
    for route in routes.reading():
        if "<" not in route and route not in OPEN:
            answer = client.get(f"/{route}")
            assert answer.status_code == (403 if route in OF_THE_WORKSPACE else 200), route
            for query in ("", *(f"?{name}={value}" for name, value in FILTERS.items())):
                answer = client.get(f"/{route}{query}")
                found[f"/{route}{query}"] = (answer.status_code, plain(answer.content))
    for name, pattern in routes.console().items():
        if "<" in pattern or name in PAGES_LEFT_OUT:
            continue
        for query in ("", f"?namespace={HIDDEN}", "?q=hidden-rp"):
            answer = browser.get(f"/{pattern}{query}")
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            found[f"/{pattern}{query}"] = (answer.status_code, plain(body))
    return found


def test_whatever_needs_no_id_answers_as_if_the_other_namespace_were_not_there(walker: tuple[Api, Client]) -> None:
    before = seen(walker)
    hidden_world()
    after = seen(walker)
    assert before.keys() == after.keys()
    different = {path: (before[path], after[path]) for path in before if before[path] != after[path]}
    assert sorted(different) == []
    # A filter's own value stands in its form; nothing else of the other namespace does.
    assert [path for path, (_, body) in after.items() if "hidden-" in body.replace(HIDDEN, "").replace("hidden-rp", "") and "?" not in path] == []
    assert sum(code == 200 for code, _ in after.values()) > 60


def test_whatever_is_named_by_an_id_is_not_there(walker: tuple[Api, Client]) -> None:
    hidden_world()
    client, _ = walker
    state = _state()
    for route in routes.reading():
        if "<" in route:
            answer = client.get(f"/{_filled(route)}")
            assert answer.status_code == 404, (route, answer.content)
            assert "hidden-answer" not in answer.content.decode()
    for deed in routes.writing():
        method, _, route = deed.partition(" ")
        assert deed in BODIES or "<" in route, f"{deed}: say in BODIES what of the other namespace it could touch"
        for body in BODIES.get(deed, [REASON]):
            answer = client.client.generic(method, f"/{_filled(route)}", json.dumps(body).encode(), "application/json", headers={"If-Match": '"1"'})
            assert answer.status_code == 404, (deed, body, answer.status_code, answer.content)
    assert _state() == state


def test_no_page_of_a_hidden_object_and_no_action_on_it(walker: tuple[Api, Client]) -> None:
    hidden_world()
    _, browser = walker
    state = _state()
    ours = set(CycleRun.objects.filter(namespace="open-ns").values_list("pk", flat=True))
    walked = 0
    for model in admin.site._registry:
        for row in _hidden_rows(model):
            for page in ("change", "history", "delete", *_actions_of(model)):
                path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/{page}/"
                for answer in (browser.get(path), browser.post(path, {**REASON, "asked": "1", "endpoint": "snapshot"})):
                    assert answer.status_code in {302, 403, 404}, (path, answer.status_code)
                    assert "hidden-" not in answer.content.decode(), path
                    assert answer.status_code != 302 or answer.headers["Location"] == "/admin/", (path, answer.headers)
                walked += 1
            for action in _actions_of(model):
                chosen = {"action": action, "_selected_action": str(row.pk), "asked": "1", "endpoint": "snapshot", **REASON}
                browser.post(f"/admin/{model._meta.app_label}/{model._meta.model_name}/", chosen)
            answer = browser.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/", {"q": str(row.pk)})
            assert answer.status_code == 403 or f"/{row.pk}/change/" not in answer.content.decode(), model
    assert walked > 60
    assert _state() == state
    assert ours == set(CycleRun.objects.filter(namespace="open-ns").values_list("pk", flat=True))


def _hidden_rows(model: type[Model]) -> list[Any]:
    """Return some rows that aren't the walker's: those of the hidden namespace, and those that concern the workspace."""
    shown: Any = admin.site._registry[model]
    path, rows = getattr(shown, "namespace_path", None), model._default_manager.all()
    cycles = CycleRun.objects.filter(namespace=HIDDEN).values("pk")
    odd: dict[str, dict[str, Any]] = {"cycle_id": {"cycle_id__in": cycles}, "scope": {"scope": [HIDDEN]}, "run__scope": {"run__scope": [HIDDEN]}}
    return list((rows if path is None else rows.filter(**odd.get(path, {path: HIDDEN})))[:2])


def _actions_of(model: type[Model]) -> list[str]:
    return [action.name for of, action in routes.actions().values() if of is model]


def _filled(route: str) -> str:
    def value(match: re.Match[str]) -> str:
        assert match[1] in NAMED, f"{route}: say in NAMED what names an object of the other namespace as {match[1]!r}"
        return str(NAMED[match[1]]())

    return re.sub(r"<(?:\w+:)?(\w+)>", value, route)


def _state() -> list[Any]:
    """Return what a deed could have changed."""
    statements = (
        "SELECT id, status, fencing_token FROM orbit_cyclerun", "SELECT id, status FROM orbit_deadletterdispatch", "SELECT id, status FROM orbit_dispatchjob",
        "SELECT id, status FROM governance_operationrun", "SELECT count(*) FROM governance_audittrailentry",
        "SELECT namespace_id, mode FROM governance_governancesetting", "SELECT run_profile_id, state, document FROM orbit_runprofile",
        "SELECT profile_id, state, document FROM orbit_profile",
        "SELECT id, is_active, password FROM auth_user", "SELECT id, revoked_at FROM governance_apitoken",
    )  # fmt: skip
    found = []
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"{statement} ORDER BY 1")
            found.append(cursor.fetchall())
    return found
