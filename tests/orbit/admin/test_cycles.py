"""The pages of cycles: verdict, tabs, filters, marks, refusals."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import AuditTrailEntry
from governance.namespaces import registry
from orbit.models import CycleRun, DeadLetterDispatch, SeenMark
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http

TABS = ("timeline", "provenance", "deliveries", "records", "leases", "context")
LIST = "/admin/orbit/cyclerun/"


def page_of(cycle: CycleRun) -> str:
    return f"{LIST}{cycle.pk}/change/"


@pytest.fixture
def partial(committed: str, settings: Any) -> CycleRun:
    """A cycle with three deliveries to ``good``, and three dead at ``zulu``."""
    with Receiver(OK) as good, Receiver(http("410 Gone")) as bad:
        configure_endpoints(settings, good=good.url, zulu=bad.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["good", "zulu"]})
        run_cycle(start_cycle())
        return run_cycle(start_cycle())


def test_the_verdict_comes_first_and_the_next_steps_with_it(partial: CycleRun) -> None:
    page = console(create_user()).get(page_of(partial)).content.decode()
    verdict = re.search(r'<p id="verdict">(.*?)</p>', page)
    assert verdict is not None
    assert "3 of 6 deliveries done; 3 dead at zulu (410)" in verdict[1]
    assert "Requeue 3 dead letters" in page and ">Run again<" in page and "Compare" in page
    assert 'href="/admin/orbit/endpoints/zulu/">Endpoint zulu<' in page
    assert page.index('id="verdict"') < page.index('class="tabs"')


def test_who_sees_some_namespaces_gets_no_link_to_an_endpoint(partial: CycleRun) -> None:
    page = console(create_user("bea", "Operator", "a")).get(page_of(partial)).content.decode()
    assert "dead at zulu (410)" in page and "Endpoint zulu" not in page


def test_each_tab_has_an_address_and_reads_little(partial: CycleRun) -> None:
    browser = console(create_user())
    for tab in TABS:
        with CaptureQueriesContext(connection) as queries:
            page = browser.get(f"{page_of(partial)}?tab={tab}").content.decode()
        assert len(queries) <= 30, tab
        assert f'href="?tab={tab}" aria-current="page"' in page
    assert "Deliveries 3/6" in page


@pytest.mark.parametrize("tab", TABS[:4])
def test_one_filter_rules_every_tab(tab: str, partial: CycleRun) -> None:
    browser = console(create_user())

    def content(query: str) -> str:
        page = browser.get(f"{page_of(partial)}?tab={tab}&{query}").content.decode()
        return page[page.index('id="tab"') :]

    of_zulu = content("show=failed&endpoint=zulu")
    assert "zulu" in of_zulu or tab == "records"
    assert "delivered" not in of_zulu
    assert "zulu" not in content("endpoint=good") and "good" in content("endpoint=good")


def test_a_tab_that_no_filter_rules_has_none(partial: CycleRun) -> None:
    browser = console(create_user())
    for tab in TABS:
        page = browser.get(f"{page_of(partial)}?tab={tab}&show=failed").content.decode()
        assert ("Filter of all tabs" in page) == (tab not in ("leases", "context"))
        assert "tab=records&amp;show=failed" in page


def test_the_provenance_of_a_second_cycle_leads_to_the_first(partial: CycleRun) -> None:
    first = CycleRun.objects.order_by("id")[0]
    page = console(create_user()).get(f"{page_of(partial)}?tab=provenance").content.decode()
    assert "reused" in page and f"{LIST}{first.pk}/change/" in page
    of_first = console(create_user("bob")).get(f"{page_of(first)}?tab=provenance")
    assert ">reused<" not in of_first.content.decode()


@pytest.mark.parametrize(
    ("node", "details"),
    [
        ("initiation", ["Hash", "Open the initiation"]),
        ("tier:1", ["Transformer", "Open the transformation"]),
        ("item:1", ["SHA-256", "Open the item"]),
        ("jobs:zulu:dead", ["1 attempt", "/admin/orbit/dispatchjob/", "All deliveries to zulu"]),
        ("attempts:zulu:failed:410", ["Attempt 1", "#attempt-1", "All deliveries to zulu"]),
    ],
)
def test_a_step_of_the_provenance_has_its_details_beside_it(
    node: str, details: list[str], partial: CycleRun
) -> None:
    browser = console(create_user())
    address = f"{page_of(partial)}?tab=provenance&show=all"
    assert f'href="?tab=provenance&amp;node={quote(node, safe="")}#panel"' in (
        browser.get(address).content.decode()
    )
    with CaptureQueriesContext(connection) as queries:
        page = browser.get(f"{address}&node={node}").content.decode()
    assert len(queries) <= 30
    panel = page.split('id="panel"')[1].split("</section>")[0]
    for word in details:
        assert word in panel
    assert page.count('#panel" aria-current="true"') == 1


def test_a_step_that_is_not_there_has_no_panel(partial: CycleRun) -> None:
    browser = console(create_user())
    for node in ("tier:9", "x" * 1_000, "jobs:zulu:delivered", '"><script>'):
        answer = browser.get(page_of(partial), {"tab": "provenance", "node": node})
        assert answer.status_code == 200 and 'id="panel"' not in answer.content.decode()


def test_records_are_filtered_by_level(partial: CycleRun) -> None:
    page = console(create_user()).get(f"{page_of(partial)}?tab=records&level=error")
    text = page.content.decode()
    assert "None" not in text.split('id="tab"')[1]  # what is null isn't shown
    assert "dead_letter_created" in text and "cycle_started" not in text


def test_a_viewer_has_no_button_that_changes_something(partial: CycleRun) -> None:
    page = console(create_user("vic", "Viewer")).get(page_of(partial)).content.decode()
    for word in ("Requeue 3", "Run again", "Mark as seen", ">Trigger<"):
        assert word not in page
    assert "Compare" in page and "An Operator can requeue" in page


def test_mark_as_seen_is_one_entry_and_stands_in_list_and_page(partial: CycleRun) -> None:
    browser = console(create_user())
    answer = browser.post(
        LIST,
        {"action": "mark_seen", "_selected_action": [str(partial.pk)], "from_cycle": "1"},
        follow=True,
    )
    assert answer.redirect_chain == [(page_of(partial), 302)]
    assert "Seen by ann" in answer.content.decode()
    assert SeenMark.objects.get().key == str(partial.pk)
    assert AuditTrailEntry.objects.filter(action="seen.marked").count() == 1
    assert "ann" in browser.get(LIST).content.decode().split("Seen by</th>")[1]
    viewer = console(create_user("vic", "Viewer"))
    viewer.post(LIST, {"action": "mark_seen", "_selected_action": [str(partial.pk)]})
    assert SeenMark.objects.get().by == "ann"


def test_the_list_is_filtered_by_dead_letters_trigger_and_run_profile(partial: CycleRun) -> None:
    registry.ensure(["b"])
    other = active_cycle("b")
    browser = console(create_user())

    def shows(query: str) -> tuple[bool, bool]:
        page = browser.get(f"{LIST}?{query}").content.decode()
        return f'value="{partial.pk}"' in page, f'value="{other.pk}"' in page

    assert shows("") == (True, True)
    assert shows("dead_letters=yes") == (True, False)
    assert shows("trigger=rest") == (False, True)
    assert shows("run_profile_id=r1") == (True, False)
    assert shows("namespace=b") == (False, True)
    assert shows("from=2100-01-01T00:00") == (False, False)
    assert shows("to=2100-01-01T00:00&status=partial_success") == (True, False)
    DeadLetterDispatch.objects.update(status="dismissed")
    assert shows("dead_letters=yes") == (False, False)
    assert shows("needs=yes") == (True, False)
    browser.post(LIST, {"action": "mark_seen", "_selected_action": [str(partial.pk)]})
    assert shows("needs=yes") == (False, False)


@pytest.mark.django_db
def test_a_running_cycle_says_what_it_waits_for_and_refreshes() -> None:
    registry.ensure(["a"])
    cycle = active_cycle("a")
    browser = console(create_user())
    page = browser.get(page_of(cycle)).content.decode()
    assert "Pending: no worker has taken it yet." in page and 'data-every="2"' in page
    assert "no worker has taken it yet" in browser.get(LIST).content.decode()


@pytest.mark.parametrize(
    "cycle_id", ["nonsense", "x" * 10_000, "00000000-0000-0000-0000-000000000000", "01HZX"]
)
@pytest.mark.django_db
def test_an_id_of_no_cycle_is_a_sentence_with_the_next_step(cycle_id: str) -> None:
    answer = console(create_user()).get(f"{LIST}{cycle_id}/change/")
    assert answer.status_code == 404
    assert "Look for it in the list of cycles" in answer.content.decode()
    assert len(answer.content) < 10_000


def test_a_cycle_of_another_namespace_is_like_one_that_is_not_there(partial: CycleRun) -> None:
    answer = console(create_user("bea", "Operator", "b")).get(page_of(partial))
    assert answer.status_code == 404
    assert f"There is no cycle {partial.pk}." in answer.content.decode()


@pytest.mark.django_db
def test_a_refused_trigger_links_to_what_is_in_the_way() -> None:
    configure_profiles()
    browser = console(create_user())
    form = {"run_profile_id": "r1", "namespace": "", "reason": "because"}
    assert browser.post(f"{LIST}trigger/", form).status_code == 302
    active = CycleRun.objects.get()
    page = browser.post(f"{LIST}trigger/", form).content.decode()
    assert f"The cycle {active.pk} is pending in a" in page
    assert f'href="{page_of(active)}"' in page and "because</textarea>" in page


def test_compare_draws_durations_as_pairs_and_names_new_errors(
    partial: CycleRun, settings: Any
) -> None:
    with Receiver(OK) as fine:
        configure_endpoints(settings, good=fine.url, zulu=fine.url)
        success = run_cycle(start_cycle())
    browser = console(create_user())
    page = browser.get(f"{LIST}compare/?a={success.pk}&b={partial.pk}").content.decode()
    assert page.count('<progress class="pair"') >= 2
    assert re.search(r'<td data-l="Difference">\d+ m?s (longer|shorter)</td>', page)
    assert page.count("<dt>First cycle</dt>") == 1 and "partial success</span>" in page
    assert '<td data-l="Difference">new</td>' in page
    back = browser.get(f"{LIST}compare/?a={partial.pk}&b={success.pk}").content.decode()
    assert '<td data-l="Difference">gone</td>' in back
