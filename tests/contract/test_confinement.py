"""A confined user finds nothing of another namespace, anywhere.

Without an id, answers are the same before and after the other namespace has objects. With a hidden
id or name, they are the same as for one that doesn't exist.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client

from governance.access.actors import SYSTEM
from governance.models import (
    NamespaceGrant,
    OperationRunItem,
    Stop,
)
from governance.namespaces import pauses
from orbit.models import CycleRun, OverviewFacts
from orbit.schedules.sync import RunProfileSchedules
from orbit_site.overview import dashboard
from tests.contract import actions
from tests.contract.hidden import (
    AT,
    BODIES,
    DOCUMENTS,
    FILTERS,
    FORMS,
    HIDDEN,
    HIDDEN_IDS,
    INDEPENDENT_ROUTES,
    MISSING_NUMBER,
    MISSING_ULID,
    OWN_FORMS,
    REASON,
    REQUIRED_QUERY,
    SKIPPED_PAGES,
    VERDICT_ROUTES,
    WORKSPACE_FORMS,
    WORKSPACE_ROUTES,
    create_hidden_objects,
)
from tests.support import routes
from tests.support.callers import Api, api, console, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.dead_letters import run_batches
from tests.support.objects import MISSING_ID
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.receiver import Receiver, http

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def confined(settings: Any) -> Iterator[tuple[Api, Client]]:
    """A token and a browser of an administrator of one namespace with an ended cycle."""
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
        Receiver(http("410 Gone", b"open-answer")) as open_receiver,
        Receiver(http("410 Gone", b"hidden-answer")) as hidden_receiver,
    ):
        configure_endpoints(
            settings, open_endpoint=open_receiver.url, hidden_endpoint=hidden_receiver.url
        )
        run_cycle(start_cycle("open-rp"))
        user = create_user("bea", "Administrator", "open-ns")
        assert NamespaceGrant.objects.count() == 1
        yield api(user), console(user)


def plain(body: bytes) -> str:
    """Return an answer without request id, form token and present times, and their digest."""
    text = body.decode()
    text = re.sub(r'data-look="\w+"', "", text)
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)
    text = re.sub(r'"from": ?"[^"]+", ?"to": ?"[^"]+"|from [\d: -]+ UTC to [\d: -]+ UTC', "", text)
    text = re.sub(r"<time [^>]*>[^<]*(</time>)?", "", text)
    text = re.sub(r'until=[^"&]+|name="(at|until)" value="[^"]+"', "", text)
    text = re.sub(r'"as_of": ?"[^"]+"|(\d+ (ms|s|min|h) )+ago', "", text)
    return re.sub(r'("request_id": ?"|Request <span class="mono">)[0-9a-f]{32}', "", text)


def queries(route: str) -> list[str]:
    """Return the filters that name something hidden and that ``route`` takes, and one other.

    A parameter that isn't declared is refused before anything is read, whatever its name.
    """
    declared = routes.query(route)
    others = [name for name in FILTERS if name not in declared]
    names = [name for name in FILTERS if name in declared] + others[:1]
    return [f"?{name}={FILTERS[name]}" for name in names]


def answers_without_ids(confined: tuple[Api, Client]) -> dict[str, tuple[int, str]]:
    """Return the answers of all URLs without an id, with and without filters."""
    client, browser = confined
    answers = {}
    for route in routes.reading():
        if "<" not in route and route not in INDEPENDENT_ROUTES:
            plainly = REQUIRED_QUERY.get(route, "")
            for query in (plainly, *queries(route)):
                answer = client.get(f"/{route}{query}")
                answers[f"/{route}{query}"] = (answer.status_code, plain(answer.content))
            code, body = answers[f"/{route}{plainly}"]
            assert code == (403 if route in WORKSPACE_ROUTES else 200), (route, body)
    for name, pattern in routes.console().items():
        if "<" in pattern or name in SKIPPED_PAGES:
            continue
        for query in ("", f"?namespace={HIDDEN}", "?q=hidden-rp"):
            answer = browser.get(f"/{pattern}{query}")
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            answers[f"/{pattern}{query}"] = (answer.status_code, plain(body))
    return answers


def test_a_user_who_lost_the_last_grant_finds_nothing_anywhere(
    confined: tuple[Api, Client],
) -> None:
    create_hidden_objects()
    NamespaceGrant.objects.all().delete()
    client, browser = confined
    answers = [
        (route, client.get(f"/{route}"), {403} if route in WORKSPACE_ROUTES else {200})
        for route in routes.reading()
        if "<" not in route and route not in INDEPENDENT_ROUTES and route not in REQUIRED_QUERY
    ]
    answers += [
        (pattern, browser.get(f"/{pattern}"), {200, 302, 403})
        for name, pattern in routes.console().items()
        if "<" not in pattern and name not in SKIPPED_PAGES
    ]
    found = re.compile(b"(open|hidden)-(ns|rp|p|endpoint|answer)")
    for path, answer, codes in answers:
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert (path, answer.status_code in codes, found.search(body)) == (path, True, None)
    problem(client.post("/governance/pause", {"reason": "r"}), 403, "forbidden")
    problem(client.post("/cycles/trigger", {"namespace": "open-ns"}), 404, "unknown_namespace")
    answer = client.post("/run-profiles/trigger", {})
    assert (answer.status_code, answer.json()) == (202, {"results": []})
    for path in ("/dead-letters/requeue", "/dead-letters/dismiss", "/cycles/rerun"):
        problem(client.post(path, {"filter": {}, "reason": "r"}), 404, "unknown_namespace")


def test_an_answer_without_an_id_is_the_same_with_and_without_the_other_namespace(
    confined: tuple[Api, Client],
) -> None:
    before = answers_without_ids(confined)
    create_hidden_objects()
    after = answers_without_ids(confined)
    assert before.keys() == after.keys()
    for path, answer in before.items():
        assert (path, after[path]) == (path, answer)
    # The form shows the filter's own value, but nothing else of the hidden namespace.
    assert [
        path
        for path, (_, body) in after.items()
        if "hidden-" in body.replace(HIDDEN, "").replace("hidden-rp", "") and "?" not in path
    ] == []
    assert sum(code == 200 for code, _ in after.values()) > 60


def test_the_digest_of_the_dashboard_tells_nothing_of_the_other_namespace(
    confined: tuple[Api, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "_WORDS_SECONDS", 10**12)
    _, browser = confined

    def look() -> str:
        OverviewFacts.objects.all().delete()
        page = browser.get("/admin/").content.decode()
        return page.partition('data-look="')[2].partition('"')[0]

    before = look()
    create_hidden_objects()
    assert before == look() != ""


def test_a_hidden_id_is_like_a_missing_one(confined: tuple[Api, Client]) -> None:
    create_hidden_objects()
    client, _ = confined
    state = _state()
    for route in routes.reading():
        if "<" in route:
            path, twin = _url_and_twin(_hidden_url(route))
            answer = client.get(path)
            assert answer.status_code == 404, (route, answer.content)
            assert _without_names(answer) == _without_names(client.get(twin)), route
    for operation in routes.writing():
        method, _, route = operation.partition(" ")
        if operation in VERDICT_ROUTES:
            continue
        assert operation in BODIES or "<" in route or operation in WORKSPACE_ROUTES, (
            f"{operation}: say in BODIES what of the other namespace it could touch"
        )
        path, twin = _url_and_twin(_hidden_url(route))
        for body in BODIES.get(operation, [REASON]):
            answers = [
                client.send(method, path, body, If_Match='"1"')
                for path, body in ((path, body), (twin, _missing_twin(body)))
            ]
            assert _without_names(answers[0]) == _without_names(answers[1]), (operation, body)
            refused = {403} if operation in WORKSPACE_ROUTES else {404, 412, 422}
            assert answers[0].status_code in refused or "dry_run" in body, (
                operation,
                body,
                answers[0].status_code,
                answers[0].content,
            )
    assert _state() == state


def test_a_document_that_names_something_hidden_is_like_one_that_names_nothing(
    confined: tuple[Api, Client],
) -> None:
    create_hidden_objects()
    client, _ = confined
    state = _state()
    for document in DOCUMENTS:
        answers = [
            client.put("/run-profiles/open-rp", body, If_Match='"1"')
            for body in (document, _missing_twin(document))
        ]
        assert _without_names(answers[0]) == _without_names(answers[1])
        assert answers[0].status_code == 422
    problem(client.put("/profiles/new-p", profile("new-p"), If_None_Match="*"), 403, "forbidden")
    assert _state() == state


def test_a_rerun_of_hidden_cycles_is_like_one_of_missing_cycles(
    confined: tuple[Api, Client],
) -> None:
    create_hidden_objects()
    client, _ = confined
    state = _state()[0]
    named = [str(HIDDEN_IDS["cycle_id"]()), MISSING_ID]
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


def test_a_trigger_of_all_run_profiles_takes_those_of_the_callers_namespaces(
    confined: tuple[Api, Client],
) -> None:
    create_hidden_objects()
    client, browser = confined
    answer = client.post("/run-profiles/trigger")
    assert [row["run_profile_id"] for row in answer.json()["results"]] == ["open-rp"]
    page = browser.post(
        "/admin/orbit/cyclerun/trigger/", {"run_profile_id": "*", "namespace": "", **REASON}
    )
    assert page.status_code == 200
    assert "hidden-" not in page.content.decode()
    assert CycleRun.objects.filter(run_profile_id="hidden-rp").count() == 2


def test_a_pause_shows_who_and_why_but_no_deliveries_of_other_namespaces(
    confined: tuple[Api, Client],
) -> None:
    create_hidden_objects()
    client, browser = confined
    pauses.pause(actor=SYSTEM, reason="a fire")
    certificate = {
        "in_flight_count": 1,
        "in_flight": [{"namespace": HIDDEN, "endpoint_key": "hidden-endpoint"}],
    }
    Stop.objects.filter(kind="pause").update(quiet_at=AT, certificate=certificate)
    pause = client.get("/governance/pause").json()
    assert (pause["paused"], pause["reason"], pause["quiet"], pause["certificate"]) == (
        True,
        "a fire",
        True,
        None,
    )
    banners = browser.get("/admin/banners/").content.decode()
    assert "a fire" in banners
    assert "hidden-" not in banners
    assert pauses.read().certificate == certificate


def test_no_form_finds_anything_hidden(confined: tuple[Api, Client]) -> None:
    create_hidden_objects()
    _, browser = confined
    pages = (
        {name for name, pattern in routes.console().items() if "<" in pattern}
        - routes.of_tables()
        - set(routes.actions())
        - SKIPPED_PAGES
    )
    forms = {name.partition(": ")[0] for name in actions.FORMS} | pages
    assert sorted(forms - set(FORMS) - WORKSPACE_FORMS - OWN_FORMS) == []
    state = _state()
    for name, tries in FORMS.items():
        for template, fields in tries:
            path, twin = _url_and_twin(f"admin/{_named(template)}")
            values = json.loads(_named(json.dumps(fields)))
            other = re.sub(r"[0-9a-f-]{36}", MISSING_ID, json.dumps(_missing_twin(values)))
            answers = [_fill(browser, path, values), _fill(browser, twin, json.loads(other))]
            assert _without_names(answers[0]) == _without_names(answers[1]), (name, path, fields)
            assert "hidden-" not in _without_names(answers[0])[1], (name, path, fields)
    for name in WORKSPACE_FORMS:
        path = "/" + re.sub(r"<\w+:object_id>|<id>", "1", routes.console()[name])
        assert {browser.get(path).status_code, browser.post(path, REASON).status_code} == {403}, (
            name
        )
    assert _state() == state


def _named(text: str) -> str:
    """Return ``text`` with the ids of hidden objects for their names."""
    return re.sub(r"{(\w+)}", lambda part: str(HIDDEN_IDS[part[1]]()), text)


def _fill(browser: Client, path: str, fields: dict[str, str] | None) -> Any:
    if fields is None:
        return browser.get(path)
    if path.endswith("/runprofile/add/"):
        document = run_profile(
            fields["run_profile_id"],
            fields["profile_id"],
            fields["namespace"],
            distribution_targets=["open-endpoint"],
        )
        typed = {"state": "enabled", "distribution_targets": "open-endpoint"}
        fields = {
            **fields,
            **REASON,
            **typed,
            "document": json.dumps(document),
            "revision": "0",
            "seen": "0",
        }
    # Its message must not be on the next page.
    return browser.post(path, fields, follow="_selected_action" in fields)


def test_no_page_of_a_hidden_object_and_no_action_on_it(confined: tuple[Api, Client]) -> None:
    create_hidden_objects()
    _, browser = confined
    state = _state()
    visible = set(CycleRun.objects.filter(namespace="open-ns").values_list("pk", flat=True))
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
    assert visible == set(CycleRun.objects.filter(namespace="open-ns").values_list("pk", flat=True))


def _hidden_rows(model: type[Model]) -> list[Any]:
    """Return some rows of the hidden namespace and of the workspace."""
    model_admin: Any = admin.site._registry[model]
    path, rows = getattr(model_admin, "namespace_path", None), model._default_manager.all()
    cycles = CycleRun.objects.filter(namespace=HIDDEN).values("pk")
    odd: dict[str, dict[str, Any]] = {
        "cycle_id": {"cycle_id__in": cycles},
        "scope": {"scope": [HIDDEN]},
        "run__scope": {"run__scope": [HIDDEN]},
    }
    return list((rows if path is None else rows.filter(**odd.get(path, {path: HIDDEN})))[:2])


def _actions_of(model: type[Model]) -> list[str]:
    return [action.name for of, action in routes.actions().values() if of is model]


def _hidden_url(route: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = "entry" if route.startswith("audit-trail/") else match[1]
        assert name in HIDDEN_IDS, (
            f"{route}: say in HIDDEN_IDS what names an object of the other namespace as {name!r}"
        )
        return str(HIDDEN_IDS[name]())

    return re.sub(r"<(?:\w+:)?(\w+)>", value, route)


def _url_and_twin(path: str) -> tuple[str, str]:
    """Return the URL, and the same one with a missing id or name."""
    twin = re.sub(r"[0-9a-f-]{36}", MISSING_ID, path.replace("hidden-", "nowhere-"))
    twin = re.sub(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", MISSING_ULID, twin)
    return f"/{path}", "/" + re.sub(
        r"((?:audit-trail|profile|runprofile)/)\d+", rf"\g<1>{MISSING_NUMBER}", twin
    )


def _missing_twin(fields: Any) -> Any:
    return json.loads(json.dumps(fields).replace("hidden-", "nowhere-"))


def _without_names(answer: Any) -> tuple[int, str]:
    """Return an answer without the names and ids of the request."""
    names = [str(make()) for name, make in HIDDEN_IDS.items() if name != "number"]
    text = plain(answer.content).replace("nowhere-", "hidden-")
    return answer.status_code, re.sub(
        "|".join(
            rf"\b{re.escape(name)}\b"
            for name in [*names, MISSING_ID, MISSING_ULID, str(MISSING_NUMBER)]
        ),
        "ID",
        text,
    )


def _state() -> list[Any]:
    """Return what an action could have changed."""
    statements = (
        "SELECT id, status, fencing_token FROM orbit_cyclerun",
        "SELECT id, status FROM orbit_deadletterdispatch",
        "SELECT id, status FROM orbit_dispatchjob",
        "SELECT id, status FROM governance_operationrun",
        "SELECT count(*) FROM governance_audittrailentry",
        "SELECT namespace_id, mode FROM governance_governancesetting",
        "SELECT run_profile_id, state, document FROM orbit_runprofile",
        "SELECT profile_id, state, document FROM orbit_profile",
        "SELECT id, is_active, password FROM auth_user",
        "SELECT id, revoked_at FROM governance_apitoken",
    )
    answers = []
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"{statement} ORDER BY 1")
            answers.append(cursor.fetchall())
    return answers
