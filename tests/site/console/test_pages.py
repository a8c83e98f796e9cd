"""Every page of the console: its permissions, its cost, and forced input."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance import audit
from governance.audit.actions import Action
from orbit_site import urls
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver, http
from tests.support.telemetry_rows import create_one_of_each

OURS = {"governance", "orbit", "telemetry"}
assert urls.urlpatterns  # loading them registers the tables; before that the list is empty
# The URLconf does it, if a test of another file has read it.
admin.autodiscover()
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
CONFIGURED = {"orbit.Profile", "orbit.RunProfile"}
ADMINISTRATORS = {
    "auth.User",
    "auth.Group",
    "governance.ApiToken",
    "governance.LoginAttempt",
    "governance.RequestCount",
}


def _list(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_every_table_is_registered_and_nothing_of_the_queue() -> None:
    ours = {model for model in apps.get_models() if model._meta.app_label in OURS}
    on_the_users_page = {"governance.NamespaceGrant", "governance.WorkspaceGrant"}
    # The archive's bytes, and the forwarder's books: `telemetry` commands and metrics show them.
    # Shown by the pages of what they belong to.
    inner = {
        "governance.Alert",
        "governance.AlertWatch",
        "governance.Notification",
        "governance.PeriodicWork",
        "governance.SavedFilter",
        "orbit.ConductorParent",
        "orbit.ConductorTally",
        "orbit.CycleDay",
        "orbit.DeliveryHour",
        "orbit.OverviewFacts",
        "orbit.EndpointSnapshot",
        "orbit.EndpointState",
        "orbit.RetentionMark",
        "orbit.RollUpMark",
        "orbit.SeenMark",
        "telemetry.ArchiveChunk",
        "telemetry.OutboxEvent",
        "telemetry.OutboxState",
        "telemetry.RefusedEvent",
    }
    assert {model._meta.label for model in ours} - on_the_users_page - inner == {
        model._meta.label for model in REGISTERED if model._meta.app_label in OURS
    }
    assert not [model for model in REGISTERED if model._meta.app_label == "django_q"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "role", ["Viewer", "Operator", "Reviewer", "Configurator", "Administrator"]
)
def test_every_role_that_reads_has_the_lists_and_adds_nothing(role: str) -> None:
    browser = console(create_user("ann", role))
    for model in REGISTERED:
        allowed = role == "Administrator" or model._meta.label not in ADMINISTRATORS
        assert browser.get(_list(model)).status_code == (200 if allowed else 403), model
        if model._meta.label != "auth.User":
            makes = role in {"Configurator", "Administrator"} and model._meta.label in CONFIGURED
            assert browser.get(_list(model) + "add/").status_code == (200 if makes else 403), model


@pytest.mark.django_db
def test_a_confined_user_has_no_page_of_the_whole_workspace_and_administers_no_user() -> None:
    browser = console(create_user("bea", "Administrator", "b"))
    whole = (
        "orbit.ClusterNode",
        "orbit.AppliedFiles",
        "governance.AuditHead",
        "auth.User",
        "governance.ApiToken",
        "governance.LoginAttempt",
        "governance.RequestCount",
    )
    for label in whole:
        assert browser.get(_list(apps.get_model(label))).status_code == 403, label


@pytest.mark.django_db
def test_a_page_without_a_form_takes_no_post_and_one_with_a_form_asks_for_its_own_power() -> None:
    viewer, operator = (
        console(create_user("vic", "Viewer")),
        console(create_user("ola", "Operator")),
    )
    for address in ("banners/", "orbit/schedules/", "orbit/why/"):
        assert viewer.get(f"/admin/{address}").status_code == 200
        answer = operator.post(f"/admin/{address}", {"reason": "x"})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (
        viewer.get("/admin/pause/").status_code,
        viewer.post("/admin/pause/", {"reason": "x"}).status_code,
    ) == (200, 403)
    assert operator.post("/admin/pause/", {"reason": "x"}).status_code == 302


@pytest.mark.django_db
def test_a_user_without_a_role_or_off_the_staff_stays_outside() -> None:
    outsider = create_user("nob", "Viewer")
    outsider.groups.clear()
    assert console(outsider).get("/admin/").status_code == 302
    outsider = create_user("out", "Viewer")
    browser = console(outsider)
    assert browser.get("/cycles").status_code == 200
    outsider.is_staff = False
    outsider.save()
    assert browser.get("/admin/").status_code == 302
    assert browser.get("/cycles").status_code == 401
    assert Client().get("/", follow=True).redirect_chain == [
        ("/admin/", 302),
        ("/admin/login/?next=/admin/", 302),
    ]


@pytest.mark.parametrize("path", ["add/", "{}/change/", "{}/delete/", ""])
@pytest.mark.django_db
def test_a_table_that_is_only_looked_at_takes_no_post(path: str) -> None:
    browser = console(create_user("adm", "Administrator"))
    cycle = active_cycle()
    form = {
        "status": "success",
        "action": "delete_selected",
        "_selected_action": str(cycle.pk),
        "post": "yes",
    }
    answer = browser.post("/admin/orbit/cyclerun/" + path.format(cycle.pk), form)
    assert answer.status_code in {200, 302, 403}
    cycle.refresh_from_db()
    assert cycle.status == "pending"


@pytest.mark.usefixtures("committed")
def test_every_page_of_real_rows_is_shown_escaped_and_with_bounded_queries(settings: Any) -> None:
    with Receiver(http("410 Gone", b"<script>alert(1)</script>")) as bad:
        configure_endpoints(settings, **{"default-endpoint": bad.url})
        configure_profiles(r1={"namespace": "a"})
        run_cycle(start_cycle("r1", b'{"x": "<script>alert(2)</script>"}'))
    with audit.transaction():
        audit.record(
            Action.NAMESPACE_HALTED,
            actor="<script>alert(3)</script>",
            reason="<script>alert(4)</script>",
            before={"a": "<script>"},
            after={},
        )
    create_one_of_each()
    browser = console(create_user("adm", "Administrator"))
    pages = 0
    for model in REGISTERED:
        _get(browser, _list(model))
        for row in model._default_manager.all()[:3]:
            _get(
                browser,
                reverse(
                    f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk]
                ),
            )
            pages += 1
    assert pages > 30


def _get(browser: Client, path: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(path)
    page = answer.content.decode()
    assert answer.status_code == 200, path
    assert len(queries) <= 30, (path, len(queries))
    assert len(answer.content) < 300 * 1024, path
    assert "<script>alert" not in page, path
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)[^>]*>|\sstyle=|\son[a-z]+=\"", page), path
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page), path
    assert "token-of" not in page, path
    assert not re.search(r"<(?:title|h1)>\s*(?:View|Select) |class=\"closelink\"", page), path
    assert not any(
        re.search(r"COUNT\(\*\) AS \"__count\" FROM \"", query["sql"])
        for query in queries.captured_queries
    ), path


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        *("namespace=%00", "q=%00", "namespace=%FF", "status=%27", "run_profile_id=%25"),
        *("q=" + "x" * 5000, "q=%D9%A1"),
    ],
)
def test_an_odd_filter_or_search_is_no_fault(query: str) -> None:
    _send_to_lists(query, REGISTERED)


# Django's list view reads these, the same for every list: each goes to every third.
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("turn", "query"),
    enumerate(
        [
            *("p=99999999999999999999999", "p=-1", "p=x", "o=1.2.3.x", "o=99999999999999999"),
            *("all=1", "e=1", "_facets=True"),
        ]
    ),
)
def test_an_odd_address_is_no_fault(turn: int, query: str) -> None:
    _send_to_lists(query, REGISTERED[turn % 3 :: 3])


def _send_to_lists(query: str, models: list[type[Model]]) -> None:
    browser = console(create_user("adm", "Administrator"))
    browser.raise_request_exception = False
    for model in models:
        answer = browser.get(f"{_list(model)}?{query}")
        assert answer.status_code in {200, 302, 400}, (model, answer.status_code)


@pytest.mark.django_db
def test_columns_cant_be_guessed_at_through_the_address() -> None:
    browser = console(create_user("adm", "Administrator"))
    browser.raise_request_exception = False
    for path in (
        "governance/apitoken/?token_hash__startswith=a",
        "auth/user/?password__startswith=p",
        "orbit/cyclerun/?input__contains=a",
        "governance/idempotentrequest/?owner__password__startswith=p",
    ):
        assert browser.get(f"/admin/{path}").status_code == 400, path


@pytest.mark.django_db
def test_another_namespaces_page_looks_like_a_missing_one() -> None:
    configure_profiles(r1={"namespace": "a"})
    cycle = active_cycle("a")
    browser = console(create_user("bea", "Operator", "b"))
    assert str(cycle.pk) not in browser.get("/admin/orbit/cyclerun/").content.decode()
    for page in ("change/", "cancel/"):
        assert browser.get(f"/admin/orbit/cyclerun/{cycle.pk}/{page}").status_code == 404
    answer = browser.post(
        "/admin/orbit/cyclerun/",
        {"action": "cancel", "_selected_action": str(cycle.pk), "asked": "1", "reason": "mine"},
    )
    assert answer.status_code in {200, 302}
    cycle.refresh_from_db()
    assert cycle.status == "pending"


@pytest.mark.django_db
def test_a_search_finds_whole_ids_only() -> None:
    cycle = active_cycle()
    browser = console(create_user("vic", "Viewer"))

    def found(term: str) -> bool:
        return (
            f"/{cycle.pk}/change/"
            in browser.get("/admin/orbit/cyclerun/", {"q": term}).content.decode()
        )

    assert found(str(cycle.pk))
    assert not found(str(cycle.pk)[:8])
    assert not found("nonsense")


@pytest.mark.django_db
def test_a_count_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.console.base.COUNTED", 2)
    configure_profiles(a={"namespace": "a"}, b={"namespace": "b"}, c={"namespace": "c"})
    for namespace in "abc":
        active_cycle(namespace)
    with CaptureQueriesContext(connection) as queries:
        assert (
            "2 cycle runs"
            in console(create_user("vic", "Viewer")).get("/admin/orbit/cyclerun/").content.decode()
        )
    assert any(
        "COUNT(*)" in query["sql"] and "LIMIT 2" in query["sql"]
        for query in queries.captured_queries
    )


@pytest.mark.django_db
def test_every_filter_that_a_list_offers_can_be_used() -> None:
    configure_profiles(r1={"namespace": "a"})
    active_cycle("a")
    browser = console(create_user("adm", "Administrator"))
    used = 0
    for model in REGISTERED:
        page = browser.get(_list(model)).content.decode()
        for link in set(re.findall(r'href="\?([a-z_]+=[^"&]+)"', page)):
            assert browser.get(f"{_list(model)}?{link}").status_code == 200, (model, link)
            used += 1
    assert used > 30


@pytest.mark.django_db
@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_no_list_sorts_by_a_column_that_it_does_not_offer(model: type[Model]) -> None:
    # Without an index a sort reads the whole table.
    browser = console(create_user("ann", "Administrator"))

    def orders(query: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(_list(model) + query).status_code == 200
        table = f'FROM "{model._meta.db_table}"'
        return sorted(
            query["sql"].partition("ORDER BY")[2].partition("LIMIT")[0]
            for query in captured
            if table in query["sql"] and "ORDER BY" in query["sql"]
        )

    usual = orders("")
    for columns in ("6", "-2.3", "1.2.3.4.5.6.7.8", "x.99.-1"):
        assert orders(f"?o={columns}") == usual, columns


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["orbit", "governance", "telemetry", "advisory", "auth"])
def test_the_page_of_an_app_lists_its_tables(app: str) -> None:
    page = console(create_user("boss", "Administrator")).get(f"/admin/{app}/")
    assert page.status_code == 200
    assert f'href="/admin/{app}/' in page.content.decode()
