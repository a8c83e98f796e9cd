"""Another namespace doesn't exist: whoever is confined to one walks every route, page, form, filter, count and export, and finds nothing of the other.

Two proofs. What needs no id answers the same, byte for byte, before the other namespace's objects are there and after. What needs an
id, or names something of the other namespace, is answered as if that were not there: as its twin, which names what nobody ever made.
An address that nobody listed fails.
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

from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7
from governance.models import (
    AuditTrailEntry,
    Namespace,
    NamespaceGrant,
    OperationRun,
    OperationRunItem,
    Stop,
)
from governance.namespaces import halts, pauses
from orbit.cycles import trigger
from orbit.cycles.rerun import single
from orbit.dispatch import bulk
from orbit.errors import CycleActive
from orbit.models import (
    CronTick,
    CycleRun,
    DeadLetterDispatch,
    Profile,
    RunProfile,
    ValueLedgerEntry,
)
from orbit.schedules.sync import RunProfileSchedules
from orbit.states import Trigger
from tests.contract import actions
from tests.support import routes
from tests.support.callers import Api, api, console, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.dead_letters import run_batches
from tests.support.objects import MISSING_ID
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.receiver import Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
HIDDEN = "hidden-ns"
NOBODYS = 987_654_321
REASON = {"reason": "mine"}
AT = "2026-01-31T06:00:00Z"

#: What names an object of the hidden namespace in an address, by the name that routes give it. The twin of a text says ``nowhere-``.
NAMED: dict[str, Callable[[], Any]] = {
    "cycle_id": lambda: CycleRun.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "letter_id": lambda: DeadLetterDispatch.objects.filter(namespace=HIDDEN).order_by("id")[0].pk,
    "run_id": lambda: OperationRun.objects.filter(scope=[HIDDEN])[0].pk,
    "entry": lambda: AuditTrailEntry.objects.filter(namespace=HIDDEN)[0].pk,
    "profile": lambda: Profile.objects.get(profile_id="hidden-p").pk,
    "run_profile": lambda: RunProfile.objects.get(run_profile_id="hidden-rp").pk,
    "namespace_id": lambda: Namespace.objects.get(name=HIDDEN).pk,
    "profile_id": lambda: "hidden-p",
    "run_profile_id": lambda: "hidden-rp",
    "namespace": lambda: HIDDEN,
    "number": lambda: 1,
}
#: Bodies that name something of the hidden namespace, for routes that change something; those without an id in their address need one.
BODIES: dict[str, list[dict[str, Any]]] = {
    "POST cycles/trigger": [{"namespace": HIDDEN}, {"run_profile_id": "hidden-rp"}, {"namespace": HIDDEN, "run_profile_id": "open-rp"}],
    "POST cycles/rerun": [
        {"filter": {"namespace": HIDDEN}, **REASON}, {"filter": {"namespace": HIDDEN}, "dry_run": True},
        {"filter": {"run_profile_id": "hidden-rp"}, "dry_run": True}],
    "POST cycles/<uuid:cycle_id>/rerun": [REASON, {"dry_run": True}],
    "POST run-profiles/trigger": [{"run_profile_ids": ["hidden-rp"]}, {"run_profile_ids": ["open-rp", "hidden-rp"]}],
    "POST dead-letters/requeue": [{"filter": {"namespace": HIDDEN}, **REASON}],
    "POST dead-letters/dismiss": [{"filter": {"namespace": HIDDEN}, **REASON}],
    "PUT profiles/<str:profile_id>": [profile("hidden-p", label="Mine")],
    "PUT run-profiles/<str:run_profile_id>": [run_profile("hidden-rp", "open-p", "open-ns")],
    "POST governance/namespaces/<str:namespace>/halt": [REASON, {}],
}  # fmt: skip
#: Documents of somebody's own that name what is hidden.
DOCUMENTS = [
    run_profile("open-rp", "open-p", HIDDEN),
    run_profile("open-rp", "hidden-p", "open-ns"),
]
#: Routes that concern the whole workspace, and say so.
OF_THE_WORKSPACE = {"metrics", "audit-trail/verify", "config/diff", "POST config/reload", "POST governance/pause", "POST governance/unpause",
                    "POST governance/namespaces"}  # fmt: skip
#: Routes whose answer has nothing to do with namespaces.
OPEN = {"health", "ready", "api/schema", "api/docs"}
#: Routes that answer nothing without these parameters.
WANTED = {"schedules/why": f"?run_profile_id=open-rp&at={AT}"}
#: Narrowing by what is hidden, for every list that knows the parameter.
FILTERS = {"namespace": HIDDEN, "run_profile_id": "hidden-rp", "profile_id": "hidden-p", "endpoint_key": "hidden-endpoint", "actor": "hidden-actor",
           "object_id": "hidden-rp", "schedule": "run-profile:hidden-rp", "tag": "hidden-tag"}  # fmt: skip
#: Pages for which an address must be made by hand, or that are nobody's.
PAGES_LEFT_OUT = {"logout", "login", "app_list", "autocomplete", "jsi18n"}
#: Forms and pages of the console, filled in with what is hidden: paths, in which names are ids of it, with the fields that are sent; None is a GET.
FORMS: dict[str, list[tuple[str, dict[str, str] | None]]] = {
    "halt": [("halt/", {"namespace": HIDDEN}), ("halt/?namespace=hidden-ns", None)],
    "orbit_cyclerun_trigger": [
        ("orbit/cyclerun/trigger/", {"run_profile_id": "hidden-rp", "namespace": "", **REASON}),
        ("orbit/cyclerun/trigger/", {"run_profile_id": "", "namespace": HIDDEN, **REASON}),
        ("orbit/cyclerun/trigger/", {"run_profile_id": "open-rp", "namespace": HIDDEN, **REASON})],
    "orbit_cyclerun_compare": [("orbit/cyclerun/compare/?a={cycle_id}&b={cycle_id}", None)],
    "orbit_why": [(f"orbit/why/?run_profile_id=hidden-rp&at={AT}", None)],
    "orbit_schedule_switch": [("orbit/schedules/run-profile:hidden-rp/switch/", fields) for fields in (None, {"on": "no", **REASON})],
    "orbit_schedule_cron": [("orbit/schedules/run-profile:hidden-rp/cron/", fields) for fields in (None, {"cron": "0 9 * * *", **REASON})],
    "orbit_profile_add": [("orbit/profile/add/", {**REASON})],
    "orbit_profile_change": [("orbit/profile/{profile}/change/", {"document": "{}", "revision": "1", "seen": "1", **REASON})],
    "orbit_profile_revision": [("orbit/profile/{profile}/history/1/", fields) for fields in (None, {"over": "1", **REASON})],
    "orbit_runprofile_add": [
        ("orbit/runprofile/add/", {"run_profile_id": "new-rp", "profile_id": "hidden-p", "namespace": "open-ns"}),
        ("orbit/runprofile/add/", {"run_profile_id": "new-rp", "profile_id": "open-p", "namespace": HIDDEN}),
        ("orbit/runprofile/add/", {"run_profile_id": "new-rp", "profile_id": "open-p", "namespace": HIDDEN, "_preview": "1"})],
    "orbit_runprofile_change": [("orbit/runprofile/{run_profile}/change/", {"document": "{}", "revision": "1", "seen": "1", **REASON})],
    "orbit_runprofile_revision": [("orbit/runprofile/{run_profile}/history/1/", fields) for fields in (None, {"over": "1", **REASON})],
    "orbit_deadletterdispatch_requeue_matching": [("orbit/deadletterdispatch/requeue-matching/?namespace=hidden-ns", None)],
    "orbit_deadletterdispatch_dismiss_matching": [("orbit/deadletterdispatch/dismiss-matching/?namespace=hidden-ns", None)],
}  # fmt: skip
#: Forms that concern the whole workspace: nobody who is confined gets them.
FORMS_OF_THE_WORKSPACE = {
    "pause",
    "config_drift",
    "namespace_new",
    "token_create",
    "auth_user_add",
    "auth_user_change",
    "auth_user_password_change",
}
#: Forms about the person who fills them in.
FORMS_OF_ONES_OWN = {"password_change"}


def hidden_world() -> None:
    """Put one of everything into the hidden namespace: configuration, cycles that ended badly and that run, letters, runs, records, ticks, a halt."""
    document = run_profile(
        "hidden-rp",
        "hidden-p",
        HIDDEN,
        distribution_targets=["hidden-endpoint"],
        execution_policy={"cron": "0 6 * * *"},
    )
    store_profiles([profile("hidden-p", value_tags=["hidden-tag"])], [document])
    store_profiles([], [{**document, "value_tags": ["hidden-tag"]}])
    RunProfileSchedules("UTC").follow()
    CronTick.objects.create(
        id=uuid7(),
        schedule="run-profile:hidden-rp",
        tick_key="hidden-tick",
        due_at=AT,
        outcome="refused",
        detail={"detail": "hidden-why"},
    )
    ended = run_cycle(start_cycle("hidden-rp", b'{"text": "hidden-payload"}'))
    assert ValueLedgerEntry.objects.filter(namespace=HIDDEN).exists()
    bulk.dismiss(bulk.LetterFilter(namespace=HIDDEN), actor=SYSTEM, reason="hidden-reason")
    single.start(ended.pk, actor=SYSTEM, reason="hidden-reason", source=Trigger.REST)
    with pytest.raises(CycleActive):
        trigger.start(namespace=HIDDEN, source=Trigger.REST, actor=SYSTEM)
    halts.halt(HIDDEN, actor=SYSTEM, reason="hidden-reason")
    with audit.transaction():
        audit.record(
            Action.CYCLE_CANCELLED,
            actor="hidden-actor",
            namespace=HIDDEN,
            object_type="cycle",
            object_id="hidden-object",
        )
        audit.record(
            Action.CYCLE_CANCELLED,
            actor="hidden-actor",
            object_type="cycle",
            object_id="hidden-object",
        )


@pytest.fixture
def walker(settings: Any) -> Iterator[tuple[Api, Client]]:
    """Somebody with all powers in one namespace, where a cycle has ended, with a token and a browser."""
    daily = {"cron": "0 6 * * *"}
    store_profiles(
        [profile("open-p")],
        [
            run_profile(
                "open-rp",
                "open-p",
                "open-ns",
                distribution_targets=["open-endpoint"],
                execution_policy=daily,
            )
        ],
    )
    RunProfileSchedules("UTC").follow()
    with (
        Receiver(http("410 Gone", b"open-answer")) as ours,
        Receiver(http("410 Gone", b"hidden-answer")) as theirs,
    ):
        configure_endpoints(settings, open_endpoint=ours.url, hidden_endpoint=theirs.url)
        run_cycle(start_cycle("open-rp"))
        user = create_user("bea", "Administrator", "open-ns")
        assert NamespaceGrant.objects.count() == 1
        yield api(user), console(user)


def plain(body: bytes) -> str:
    """Return an answer without what differs between two requests: ids of requests, tokens of forms, and ranges of time that end now."""
    text = body.decode()
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)
    text = re.sub(r'"from": ?"[^"]+", ?"to": ?"[^"]+"|from [\d: -]+ UTC to [\d: -]+ UTC', "", text)
    return re.sub(r'("request_id": ?"|Request <span class="mono">)[0-9a-f]{32}', "", text)


def seen(walker: tuple[Api, Client]) -> dict[str, tuple[int, str]]:
    """Return what every address answers that needs no id, plain and narrowed by what is hidden."""
    client, browser = walker
    found = {}
    for route in routes.reading():
        if "<" not in route and route not in OPEN:
            plainly = WANTED.get(route, "")
            answer = client.get(f"/{route}{plainly}")
            assert answer.status_code == (403 if route in OF_THE_WORKSPACE else 200), (
                route,
                answer.content,
            )
            for query in (plainly, *(f"?{name}={value}" for name, value in FILTERS.items())):
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


def test_whatever_needs_no_id_answers_as_if_the_other_namespace_were_not_there(
    walker: tuple[Api, Client],
) -> None:
    before = seen(walker)
    hidden_world()
    after = seen(walker)
    assert before.keys() == after.keys()
    different = {
        path: (before[path], after[path]) for path in before if before[path] != after[path]
    }
    assert sorted(different) == []
    # A filter's own value stands in its form; nothing else of the other namespace does.
    assert [
        path
        for path, (_, body) in after.items()
        if "hidden-" in body.replace(HIDDEN, "").replace("hidden-rp", "") and "?" not in path
    ] == []
    assert sum(code == 200 for code, _ in after.values()) > 60


def test_whatever_is_named_by_an_id_is_not_there(walker: tuple[Api, Client]) -> None:
    hidden_world()
    client, _ = walker
    state = _state()
    for route in routes.reading():
        if "<" in route:
            path, twin = _both(_filled(route))
            answer = client.get(path)
            assert answer.status_code == 404, (route, answer.content)
            assert _blank(answer) == _blank(client.get(twin)), route
    for deed in routes.writing():
        method, _, route = deed.partition(" ")
        assert deed in BODIES or "<" in route or deed in OF_THE_WORKSPACE, (
            f"{deed}: say in BODIES what of the other namespace it could touch"
        )
        path, twin = _both(_filled(route))
        for body in BODIES.get(deed, [REASON]):
            answers = [
                client.send(method, path, body, If_Match='"1"')
                for path, body in ((path, body), (twin, _elsewhere(body)))
            ]
            assert _blank(answers[0]) == _blank(answers[1]), (deed, body)
            refused = {403} if deed in OF_THE_WORKSPACE else {404, 412, 422}
            assert answers[0].status_code in refused or "dry_run" in body, (
                deed,
                body,
                answers[0].status_code,
                answers[0].content,
            )
    assert _state() == state


def test_a_document_that_names_what_is_hidden_is_one_that_names_nothing(
    walker: tuple[Api, Client],
) -> None:
    hidden_world()
    client, _ = walker
    state = _state()
    for document in DOCUMENTS:
        answers = [
            client.put("/run-profiles/open-rp", body, If_Match='"1"')
            for body in (document, _elsewhere(document))
        ]
        assert _blank(answers[0]) == _blank(answers[1])
        assert answers[0].status_code == 422
    problem(client.put("/profiles/new-p", profile("new-p"), If_None_Match="*"), 403, "forbidden")
    assert _state() == state


def test_hidden_cycles_that_are_named_run_again_as_little_as_such_that_never_were(
    walker: tuple[Api, Client],
) -> None:
    hidden_world()
    client, _ = walker
    state = _state()[0]
    named = [str(NAMED["cycle_id"]()), MISSING_ID]
    answer = client.post("/cycles/rerun", {"ids": named, **REASON}).json()
    assert answer["matched"] == 2
    run_batches(answer["operation_run_id"], batches=3)
    items = OperationRunItem.objects.filter(run_id=answer["operation_run_id"])
    assert sorted(str(item.object_id) for item in items) == sorted(named)
    assert (
        len({(item.outcome, item.detail.replace(str(item.object_id), "ID")) for item in items}) == 1
    )
    assert (
        "hidden-"
        not in client.get(f"/operations/{answer['operation_run_id']}/items").content.decode()
    )
    assert _state()[0] == state


def test_all_run_profiles_are_those_of_ones_own_namespaces(walker: tuple[Api, Client]) -> None:
    hidden_world()
    client, browser = walker
    answer = client.post("/run-profiles/trigger")
    assert [one["run_profile_id"] for one in answer.json()["results"]] == ["open-rp"]
    shown = browser.post(
        "/admin/orbit/cyclerun/trigger/", {"run_profile_id": "*", "namespace": "", **REASON}
    )
    assert shown.status_code == 200
    assert "hidden-" not in shown.content.decode()
    assert CycleRun.objects.filter(run_profile_id="hidden-rp").count() == 2


def test_a_pause_tells_the_confined_who_and_why_and_nothing_of_others_deliveries(
    walker: tuple[Api, Client],
) -> None:
    hidden_world()
    client, browser = walker
    pauses.pause(actor=SYSTEM, reason="a fire")
    certificate = {
        "in_flight_count": 1,
        "in_flight": [{"namespace": HIDDEN, "endpoint_key": "hidden-endpoint"}],
    }
    Stop.objects.filter(kind="pause").update(quiet_at=AT, certificate=certificate)
    told = client.get("/governance/pause").json()
    assert (told["paused"], told["reason"], told["quiet"], told["certificate"]) == (
        True,
        "a fire",
        True,
        None,
    )
    banners = browser.get("/admin/banners/").content.decode()
    assert "a fire" in banners
    assert "hidden-" not in banners
    assert pauses.read().certificate == certificate


def test_no_form_finds_what_is_hidden(walker: tuple[Api, Client]) -> None:
    hidden_world()
    _, browser = walker
    pages = (
        {name for name, pattern in routes.console().items() if "<" in pattern}
        - routes.of_tables()
        - set(routes.actions())
        - PAGES_LEFT_OUT
    )
    forms = {name.partition(": ")[0] for name in actions.FORMS} | pages
    assert sorted(forms - set(FORMS) - FORMS_OF_THE_WORKSPACE - FORMS_OF_ONES_OWN) == []
    state = _state()
    for name, tries in FORMS.items():
        for template, sent in tries:
            path, twin = _both(
                "admin/" + re.sub(r"{(\w+)}", lambda part: str(NAMED[part[1]]()), template)
            )
            answers = [_fill(browser, path, sent), _fill(browser, twin, _elsewhere(sent))]
            assert _blank(answers[0]) == _blank(answers[1]), (name, path, sent)
            assert "hidden-" not in _blank(answers[0])[1], (name, path, sent)
    for name in FORMS_OF_THE_WORKSPACE:
        path = "/" + re.sub(r"<\w+:object_id>|<id>", "1", routes.console()[name])
        assert {browser.get(path).status_code, browser.post(path, REASON).status_code} == {403}, (
            name
        )
    assert _state() == state


def _fill(browser: Client, path: str, sent: dict[str, str] | None) -> Any:
    if sent is None:
        return browser.get(path)
    if path.endswith("/runprofile/add/"):
        document = run_profile(
            sent["run_profile_id"],
            sent["profile_id"],
            sent["namespace"],
            distribution_targets=["open-endpoint"],
        )
        typed = {"state": "enabled", "distribution_targets": "open-endpoint"}
        sent = {
            **sent,
            **REASON,
            **typed,
            "document": json.dumps(document),
            "revision": "0",
            "seen": "0",
        }
    return browser.post(path, sent)


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
                for answer in (
                    browser.get(path),
                    browser.post(path, {**REASON, "asked": "1", "endpoint": "snapshot"}),
                ):
                    assert answer.status_code in {302, 403, 404}, (path, answer.status_code)
                    assert "hidden-" not in answer.content.decode(), path
                    assert answer.status_code != 302 or answer.headers["Location"] == "/admin/", (
                        path,
                        answer.headers,
                    )
                walked += 1
            for action in _actions_of(model):
                chosen = {
                    "action": action,
                    "_selected_action": str(row.pk),
                    "asked": "1",
                    "endpoint": "snapshot",
                    **REASON,
                }
                browser.post(f"/admin/{model._meta.app_label}/{model._meta.model_name}/", chosen)
            answer = browser.get(
                f"/admin/{model._meta.app_label}/{model._meta.model_name}/", {"q": str(row.pk)}
            )
            assert (
                answer.status_code == 403 or f"/{row.pk}/change/" not in answer.content.decode()
            ), model
    assert walked > 60
    assert _state() == state
    assert ours == set(CycleRun.objects.filter(namespace="open-ns").values_list("pk", flat=True))


def _hidden_rows(model: type[Model]) -> list[Any]:
    """Return some rows that aren't the walker's: those of the hidden namespace, and those that concern the workspace."""
    shown: Any = admin.site._registry[model]
    path, rows = getattr(shown, "namespace_path", None), model._default_manager.all()
    cycles = CycleRun.objects.filter(namespace=HIDDEN).values("pk")
    odd: dict[str, dict[str, Any]] = {
        "cycle_id": {"cycle_id__in": cycles},
        "scope": {"scope": [HIDDEN]},
        "run__scope": {"run__scope": [HIDDEN]},
    }
    return list((rows if path is None else rows.filter(**odd.get(path, {path: HIDDEN})))[:2])


def _actions_of(model: type[Model]) -> list[str]:
    return [action.name for of, action in routes.actions().values() if of is model]


def _filled(route: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = "entry" if route.startswith("audit-trail/") else match[1]
        assert name in NAMED, (
            f"{route}: say in NAMED what names an object of the other namespace as {name!r}"
        )
        return str(NAMED[name]())

    return re.sub(r"<(?:\w+:)?(\w+)>", value, route)


def _both(path: str) -> tuple[str, str]:
    """Return an address, and the same of what nobody ever made; an id that is a number comes after a name in it."""
    twin = re.sub(r"[0-9a-f-]{36}", MISSING_ID, path.replace("hidden-", "nowhere-"))
    return f"/{path}", "/" + re.sub(
        r"((?:audit-trail|profile|runprofile)/)\d+", rf"\g<1>{NOBODYS}", twin
    )


def _elsewhere(sent: Any) -> Any:
    return json.loads(json.dumps(sent).replace("hidden-", "nowhere-"))


def _blank(answer: Any) -> tuple[int, str]:
    """Return an answer without what it was asked about."""
    asked = [str(make()) for name, make in NAMED.items() if name != "number"]
    text = plain(answer.content).replace("nowhere-", "hidden-")
    return answer.status_code, re.sub(
        "|".join(rf"\b{re.escape(name)}\b" for name in [*asked, MISSING_ID, str(NOBODYS)]),
        "ID",
        text,
    )


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
