"""The dashboard: the sentence, the tiles, the first steps, and what they cost."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from governance import audit
from governance.access.actors import operator
from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7
from governance.namespaces import halts
from governance.plots import charts
from orbit.models import ClusterNode, CycleDay, OverviewFacts
from orbit.schedules import ledger
from orbit.schedules.sync import RunProfileSchedules
from orbit_site import preferences
from orbit_site.overview import dashboard, facts
from tests.support import advice
from tests.support.callers import console, create_user
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, configure_profiles, rows, start_cycle

pytestmark = pytest.mark.django_db
MOST_QUERIES = 15


@pytest.fixture
def browser(settings: Any) -> Client:
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9", aurora="http://127.0.0.1:9"
    )
    configure_profiles(
        r1={"namespace": "a", "execution_policy": {"cron": "0 3 * * *"}},
        r2={"namespace": "b", "execution_policy": {"cron": "0 4 * * *"}},
    )
    ClusterNode.objects.create(id=uuid7(), host="h", pid=1, release="1", workers=4)
    return console(create_user("adm", "Administrator"))


def page(browser: Client, address: str = "/admin/") -> str:
    OverviewFacts.objects.all().delete()
    answer = browser.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def keep_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what was read count as fresh, however slow the machine is."""
    claim = facts._claim
    monkeypatch.setattr(facts, "_claim", lambda ages: claim(dict.fromkeys(ages, 3600.0)))


def test_the_sentence_is_the_heading_and_each_thing_a_link(browser: Client) -> None:
    [letter] = create_dead_letters(1)
    rows("UPDATE orbit_cyclerun SET status = 'success' RETURNING id")
    text = page(browser)
    assert "<h1>1 thing needs you</h1>" in text
    assert '<a href="/admin/orbit/deadletterdispatch/?group=' in text
    assert "<b>1 delivery is dead</b>" in text
    rows("DELETE FROM orbit_deadletterdispatch WHERE id = %s RETURNING id", letter)
    assert "<h1>All well</h1>" in page(browser)


def test_it_costs_few_queries_cold_and_warm(
    browser: Client, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_dead_letters(3)
    start_cycle("r1")
    halts.halt("b", actor=operator(), reason="receiver doubles orders")
    page(browser)
    OverviewFacts.objects.all().delete()
    with django_assert_max_num_queries(MOST_QUERIES):
        assert browser.get("/admin/").status_code == 200
    keep_facts(monkeypatch)
    with django_assert_max_num_queries(MOST_QUERIES - 3):
        assert browser.get("/admin/").status_code == 200


def test_an_open_page_that_looks_again_gets_only_its_part(
    browser: Client, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page(browser)
    keep_facts(monkeypatch)
    with django_assert_max_num_queries(10):
        answer = browser.get("/admin/", headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert text.strip().startswith('<div id="live" data-live data-every="15" ')
    assert "<nav" not in text


def test_an_open_page_that_would_look_the_same_gets_nothing(
    browser: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(dashboard, "_WORDS_SECONDS", 10**12)

    def look_again(look: str = "") -> tuple[int, str]:
        OverviewFacts.objects.all().delete()
        answer = browser.get("/admin/", headers={"HX-Request": "true", "X-Look": look})
        found = re.search(r'data-look="(\w+)"', answer.content.decode())
        return answer.status_code, found[1] if found else look

    _, look = look_again()
    assert look
    OverviewFacts.objects.all().delete()
    keep_facts(monkeypatch)
    look_again(look)
    with django_assert_max_num_queries(6):  # none for what the page would show
        answer = browser.get("/admin/", headers={"HX-Request": "true", "X-Look": look})
    assert (answer.status_code, answer.content) == (204, b"")
    halts.halt("b", actor=operator(), reason="receiver doubles orders")
    # The facts are those from before the halt; the stops are read each time.
    answer = browser.get("/admin/", headers={"HX-Request": "true", "X-Look": look})
    assert "b is halted" in answer.content.decode().partition('id="fresh-banners"')[2]
    status, halted = look_again(look)
    assert (status, halted != look) == (200, True)
    advice.propose(profile_id="p1", namespace="a")
    status, proposed = look_again(halted)
    assert (status, proposed != halted) == (200, True)
    user = User.objects.get(username="adm")
    user.groups.set([Group.objects.get(name="Viewer")])
    status, demoted = look_again(proposed)
    assert (status, look_again(demoted)[0]) == (200, 204)
    browser.cookies[preferences.ZONE] = "Asia/Tokyo"
    assert look_again(demoted)[0] == 200


def test_the_plots_are_drawn_once_for_all_open_pages(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    CycleDay.objects.create(namespace="a", day=timezone.now().date(), failed=1)
    drawn = []
    strip = charts.strip
    monkeypatch.setattr(charts, "strip", lambda *a, **kw: (drawn.append(1), strip(*a, **kw))[1])
    first, second = page(browser), page(browser)
    assert ("Worst outcome" in first, "Worst outcome" in second, len(drawn)) == (True, True, 1)


def test_first_steps_are_ticked_from_data(browser: Client) -> None:
    text = page(browser)
    assert "First steps" in text
    assert text.count("to do</span>") == 4
    create_user("second", "Administrator")
    with audit.transaction():
        audit.record(Action.BACKUP_MADE, actor="ann", object_id="f")
    RunProfileSchedules("UTC").follow()
    ledger.enqueue_due()
    assert page(browser).count("to do</span>") == 1
    CycleDay.objects.create(namespace="a", day="2026-01-01", success=1)
    start_cycle("r1")
    assert "First steps" not in page(browser)


def test_the_next_run_of_a_halted_namespace_is_struck_out(browser: Client) -> None:
    RunProfileSchedules("UTC").follow()
    ledger.enqueue_due()
    assert "<s>" not in page(browser)
    halts.halt("b", actor=operator(), reason="receiver doubles orders")
    text = page(browser)
    assert text.count("<s>") == 1
    assert "r2 (stopped)" in text


def test_a_confined_user_sees_no_endpoint_and_only_their_namespaces(browser: Client) -> None:
    create_dead_letters(2, namespace="b")
    rows("UPDATE orbit_cyclerun SET status = 'failed' RETURNING id")
    confined = console(create_user("bea", "Viewer", "a"))
    text = page(confined)
    assert "aurora" not in text
    assert "<h1>All well</h1>" in text
    assert "<h1>2 things need you</h1>" in page(browser)
    assert "<h1>All well</h1>" in page(browser, "/admin/?namespace=a")


def test_hostile_texts_stay_texts(browser: Client) -> None:
    hostile = "<script>alert(1)</script>"
    create_dead_letters(1, error=hostile, code=None)
    rows("UPDATE orbit_cyclerun SET reason = %s RETURNING id", hostile)
    halts.halt("a", actor=operator(), reason=hostile)
    text = page(browser)
    assert hostile not in text
    assert escape(hostile) in text


def test_a_web_process_without_the_clusters_environment_doesnt_deny_their_endpoints(
    browser: Client, settings: Any
) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    assert "none is configured" in page(browser)
    ClusterNode.objects.update(endpoints=2)
    assert "all breakers closed" in page(browser)


def test_an_endpoint_whose_letters_grow_is_not_well_though_its_circuit_is_closed(
    browser: Client,
) -> None:
    assert "all breakers closed" in page(browser)
    letters = create_dead_letters(2)
    rows(
        "UPDATE orbit_deadletterdispatch SET endpoint_key = 'aurora', created_at = created_at"
        " - CASE WHEN id = %s THEN interval '1 hour' ELSE '0 s' END RETURNING id",
        letters[0],
    )
    text = page(browser)
    assert "new dead letters" in text
    assert re.search(r'endpoints/aurora/[^<]*"><span class="state part"', text)
