"""Dead letters in the console: groups, the endpoint now, and actions on all that match."""

import html
import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from governance.models import AuditTrailEntry, OperationRun, OperationRunItem
from orbit.admin.dead_letters import DeadLetterDispatchAdmin
from orbit.dispatch import error_groups
from orbit.models import DeadLetterDispatch
from tests.support.callers import console, create_user
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints

LIST = "/admin/orbit/deadletterdispatch/"
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@pytest.fixture(autouse=True)
def _endpoints(committed: str, settings: Any) -> None:
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9/x", other="http://127.0.0.1:9/y"
    )


def group_of(letter: Any) -> str:
    return str(DeadLetterDispatch.objects.get(pk=letter).error_group)


def preview(browser: Any, action: str, query: str = "", **choice: Any) -> dict[str, Any]:
    """Choose letters; return the hidden fields of the preview's form."""
    address = f"{LIST}{action}-matching/?{query}"
    page = browser.post(address, choice) if choice else browser.get(address)
    text = page.content.decode()
    fields: dict[str, Any] = dict(re.findall(r'name="(frozen|until)" value="([^"]*)"', text))
    return {**fields, "group": choice.get("group", []), "text": text}


MORE = {"requeue": {"endpoint": "current", "rate": "7"}, "dismiss": {}}


def test_the_page_begins_with_how_many_letters_have_how_many_causes() -> None:
    inside, outside = (
        create_dead_letters(3, error="<b>{i}</b>"),
        create_dead_letters(1, key="other"),
    )
    group = group_of(inside[0])
    browser = console(create_user())
    page = browser.get(LIST).content.decode()
    assert "<h1>4 dead letters in 2 groups</h1>" in page
    assert f"?group={group}&amp;status=open" in page
    assert "<b>default-endpoint</b> · &lt;b&gt;#&lt;/b&gt;" in page
    assert "<b>other</b> · HTTP 503 Service Unavailable" in page
    members = browser.get(f"{LIST}?group={group}").content.decode()
    assert all(f"/{letter}/change/" in members for letter in inside)
    assert f"/{outside[0]}/change/" not in members
    viewer = console(create_user("vic", "Viewer")).get(LIST).content.decode()
    assert f"?group={group}" in viewer
    assert "-matching/" not in viewer


def test_groups_are_filtered_by_state_endpoint_and_namespace() -> None:
    create_dead_letters(2)
    gone = create_dead_letters(1, key="other", namespace="b")
    DeadLetterDispatch.objects.filter(pk__in=gone).update(status="dismissed")
    browser = console(create_user())
    for query, title in (
        ("status=dismissed", "1 dead letter in 1 group"),
        ("status=all", "3 dead letters in 2 groups"),
        ("status=all&namespace=a", "2 dead letters in 1 group"),
        ("endpoint_key__exact=other", "No dead letters"),
        ("status=" + "x" * 10_000, "No dead letters"),
    ):
        assert f"<h1>{title}</h1>" in browser.get(f"{LIST}?{query}").content.decode(), query


def test_the_endpoint_is_chosen_on_the_page_and_stays_in_its_links(settings: Any) -> None:
    url = "http://127.0.0.1:9"
    configure_endpoints(settings, default_endpoint=url, other=url, quiet=url)
    create_dead_letters(2)
    create_dead_letters(1, key="other", namespace="b")
    browser = console(create_user())

    def offered(page: str) -> list[str]:
        select = page.partition('<select id="of-endpoint"')[2].partition("</select>")[0]
        return re.findall(r"<option(?: value=\"\")?( selected)?>([^<]*)", select)

    page = browser.get(LIST).content.decode()
    assert [key for _, key in offered(page)] == [
        "All endpoints",
        "default-endpoint",
        "other",
        "quiet",
    ]
    page = browser.get(f"{LIST}?endpoint_key__exact=other").content.decode()
    assert (" selected", "other") in offered(page)
    assert "<h1>1 dead letter in 1 group</h1>" in page
    for link in (
        "requeue-matching/?endpoint_key__exact=other",
        "?endpoint_key__exact=other&amp;status=dismissed",
        "?endpoint_key__exact=other&amp;group=all&amp;status=open",
    ):
        assert link in page, link
    # The form's empty field narrows nothing, and doesn't refuse Requeue.
    page = browser.get(f"{LIST}?endpoint_key__exact=&namespace=").content.decode()
    assert "<h1>3 dead letters in 2 groups</h1>" in page
    assert 'requeue-matching/?"' in page
    answer = browser.post(f"{LIST}requeue-matching/?namespace=", {"all": "1"})
    assert "Requeue 3 dead letters" in answer.content.decode()
    # Endpoints belong to the whole workspace.
    page = console(create_user("bea", "Operator", "b")).get(LIST).content.decode()
    assert [key for _, key in offered(page)] == ["All endpoints", "other"]


def test_a_group_beyond_the_largest_is_marked_on_its_endpoints_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_dead_letters(2)
    small = group_of(create_dead_letters(1, key="other")[0])
    monkeypatch.setattr(error_groups, "MAX_GROUPS", 1)
    browser = console(create_user())
    browser.post(f"{LIST}seen/?endpoint_key__exact=other", {"group": small})
    assert "Seen by ann" in browser.get(f"{LIST}?endpoint_key__exact=other").content.decode()


def test_a_group_says_who_looks_after_it_until_it_comes_back() -> None:
    group = group_of(create_dead_letters(2)[0])
    browser = console(create_user())
    assert "Open</span>" in browser.get(LIST).content.decode()
    browser.post(f"{LIST}seen/", {"group": [group, "forged" * 9]})
    assert "Seen by ann" in browser.get(LIST).content.decode()
    entry = AuditTrailEntry.objects.get(action="seen.marked")
    assert (entry.object_id, entry.object_type) == (group, "dead_letter_group")
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    browser.post(f"{LIST}{letter.pk}/requeue/", {"reason": "it is back", "endpoint": "snapshot"})
    create_dead_letters(1)
    assert "Came back" in browser.get(LIST).content.decode()


def test_a_mark_ends_when_a_newer_letter_joins_the_group() -> None:
    group = group_of(create_dead_letters(2)[0])
    DeadLetterDispatch.objects.update(created_at=Now() - timedelta(hours=2))
    browser = console(create_user())
    browser.post(f"{LIST}seen/", {"group": group})
    assert "Seen by ann" in browser.get(LIST).content.decode()
    create_dead_letters(1)
    text = browser.get(LIST).content.decode()
    assert "Growing" in text
    assert "Seen by ann" not in text


def test_a_forged_group_and_a_hidden_one_are_not_marked() -> None:
    group = group_of(create_dead_letters(1, namespace="a")[0])
    hidden = console(create_user("bea", "Operator", "c"))
    page = hidden.post(f"{LIST}seen/", {"group": group}, follow=True).content.decode()
    assert "Nothing was marked" in page
    assert group not in page
    assert console(create_user("vic", "Viewer")).post(f"{LIST}seen/").status_code == 403
    assert not AuditTrailEntry.objects.filter(action="seen.marked").exists()


def test_letters_of_a_group_are_paged_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = sorted(map(str, create_dead_letters(5)), reverse=True)
    monkeypatch.setattr(DeadLetterDispatchAdmin, "list_per_page", 2)
    browser = console(create_user())
    listed, link = [], f"?group={group_of(letters[0])}"
    while link:
        page = browser.get(LIST + link).content.decode()
        listed += re.findall(r"/deadletterdispatch/([-0-9a-f]{36})/change/", page)
        # Requeue takes all that match, on whichever page it is pressed.
        assert "Requeue all that match" in page
        older = re.search(r'rel="next" href="([^"]*)"', page)
        link = html.unescape(older[1]) if older else ""
        # A letter that comes meanwhile moves none.
        create_dead_letters(1)
    assert listed == letters


def test_an_open_letter_shows_whether_its_endpoint_has_changed(settings: Any) -> None:
    letter = create_dead_letters(1)[0]
    browser = console(create_user())
    assert "unchanged" in browser.get(f"{LIST}{letter}/change/").content.decode()
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/moved")
    assert "changed since" in browser.get(f"{LIST}?group=all").content.decode()
    configure_endpoints(settings, other="http://127.0.0.1:9/x")
    assert "no longer configured" in browser.get(f"{LIST}?group=all").content.decode()


@pytest.mark.parametrize("action", ["requeue", "dismiss"])
def test_a_run_takes_the_letters_of_its_preview_with_a_reason(action: str) -> None:
    a, _ = create_dead_letters(2, namespace="a"), create_dead_letters(2, namespace="b")
    browser = console(create_user())
    fields = preview(browser, action, "namespace=a")
    assert f"<h1>{action.capitalize()} 2 dead letters</h1>" in fields.pop("text")
    create_dead_letters(1, namespace="a")  # after the preview, so no run takes it
    address = f"{LIST}{action}-matching/?namespace=a"
    assert browser.post(address, {**fields, **MORE[action], "reason": " "}).status_code == 200
    assert not OperationRun.objects.exists()
    for words in ("takes 2 dead letters", "is active already and takes 2"):
        response = browser.post(
            address, {**fields, **MORE[action], "reason": "because"}, follow=True
        )
        run = OperationRun.objects.get()
        assert response.redirect_chain == [
            (f"/admin/governance/operationrun/{run.pk}/change/?namespace=a", 302)
        ]
        assert words in response.content.decode()
    assert (run.type, run.initiator, run.reason, run.scope) == (
        f"dlq.bulk_{action}",
        "ann",
        "because",
        ["a"],
    )
    assert set(OperationRunItem.objects.values_list("object_id", flat=True)) == set(a)


def test_a_run_over_letters_that_changed_since_the_preview_is_not_started() -> None:
    first, *_ = create_dead_letters(3)
    browser = console(create_user())
    fields = preview(browser, "requeue", group=[group_of(first)])
    browser.post(f"{LIST}{first}/dismiss/", {"reason": "too old"})
    values = {**fields, **MORE["requeue"], "reason": "because"}
    page = browser.post(f"{LIST}requeue-matching/", values).content.decode()
    assert "changed since you looked: now there are 2" in page
    assert "because" in page
    assert not OperationRun.objects.exists()
    again = dict(re.findall(r'name="(frozen|until)" value="([^"]*)"', page))
    browser.post(f"{LIST}requeue-matching/", {**values, **again})
    assert OperationRunItem.objects.count() == 2


def test_more_than_a_hundred_letters_need_their_number_typed() -> None:
    group = group_of(create_dead_letters(101)[0])
    browser = console(create_user())
    fields = preview(browser, "dismiss", group=[group])
    assert "type 101" in fields["text"]
    for number in ("", "100", "x", "9" * 10_000):
        values = {**fields, "reason": "because", "number": number}
        assert browser.post(f"{LIST}dismiss-matching/", values).status_code == 200
    assert not OperationRun.objects.exists()
    browser.post(f"{LIST}dismiss-matching/", {**fields, "reason": "because", "number": "101"})
    assert OperationRunItem.objects.count() == 101


def test_a_preview_says_what_waits_what_is_skipped_and_what_differs(settings: Any) -> None:
    first, *_ = create_dead_letters(3, namespace="a")
    create_dead_letters(2, namespace="b", key="other")
    browser = console(create_user())
    browser.post("/admin/governance/namespace/a/halt/", {"reason": "doubles"})
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/moved-elsewhere")
    page = preview(browser, "requeue", all="1")["text"]
    for words in ("Requeue 5 dead letters", "Changed", "url: changed", "No longer configured"):
        assert words in page, words
    assert "moved-elsewhere" not in page
    browser.post(f"{LIST}{first}/dismiss/", {"reason": "too old"})
    page = browser.post(
        f"{LIST}?group=all",
        {"action": "requeue", "_selected_action": [str(first)]},
    ).content.decode()
    assert "already dismissed" in page
    assert "None of these is open" in page


def test_nothing_selected_is_said_and_starts_nothing() -> None:
    create_dead_letters(1)
    browser = console(create_user())
    page = browser.post(f"{LIST}requeue-matching/", {"csrfmiddlewaretoken": "x"}, follow=True)
    assert "Tick a group" in page.content.decode()


def test_a_list_with_a_filter_that_a_run_cannot_have_offers_no_run() -> None:
    create_dead_letters(1)
    browser = console(create_user())
    browser.raise_request_exception = False
    for query in ("q=x", "status=requeued&group=1"):
        assert "all that match" not in browser.get(f"{LIST}?{query}").content.decode()
    # Each of these shows fewer letters than a run would take, or others.
    for query in (
        "endpoint_key=other",
        "endpoint_key__exact=",
        "group=",
        "endpoint_key__exact=a&endpoint_key__exact=b",
        "cycle__id__exact=x",
    ):
        assert browser.get(f"{LIST}requeue-matching/?{query}").status_code == 400, query
    for query in ("o=1", f"older_than={LAST_ID}", "status=open", "q=", "endpoint_key__exact=other"):
        page = browser.get(f"{LIST}?group=all&{query}")
        assert "Requeue all that match" in page.content.decode(), query
    for field in ("ids", "until"):
        page = browser.post(f"{LIST}requeue-matching/", {"frozen": "x", field: "x" * 10_000})
        assert page.status_code == 400
    hidden = console(create_user("bea", "Operator", "c")).get(
        f"{LIST}dismiss-matching/?namespace=a", follow=True
    )
    assert "There is no namespace" in hidden.content.decode()
    assert not OperationRun.objects.exists()


def test_only_an_operator_acts_on_all_that_match() -> None:
    for path in ("requeue-matching/", "dismiss-matching/"):
        assert console(create_user(f"v{path}", "Viewer")).get(LIST + path).status_code == 403


def test_a_letter_is_dismissed_with_a_reason() -> None:
    letter = create_dead_letters(1)[0]
    page = console(create_user()).post(
        f"{LIST}{letter}/dismiss/", {"reason": "too old"}, follow=True
    )
    assert " dismissed." in page.content.decode()
    assert DeadLetterDispatch.objects.get().resolved_by == "ann"


def test_selected_letters_and_all_of_a_list_become_runs() -> None:
    first, second, third = create_dead_letters(3)
    browser = console(create_user())
    chosen = {"action": "dismiss", "_selected_action": [str(first), str(second)]}
    page = browser.post(f"{LIST}?group=all", chosen).content.decode()
    assert "Dismiss 2 dead letters" in page
    assert (str(second) in page, str(third) in page) == (True, False)
    page = browser.post(f"{LIST}?group=all", {"action": "dismiss", "select_across": ["0", "1"]})
    assert "Dismiss 3 dead letters" in page.content.decode()


def test_two_users_who_confirm_the_same_preview_at_once_start_one_run() -> None:
    group = group_of(create_dead_letters(3)[0])
    browsers = [console(create_user("ann")), console(create_user("bob"))]
    fields = preview(browsers[0], "requeue", group=[group])
    values = {**fields, **MORE["requeue"], "reason": "because"}
    pages: list[str] = []

    def confirm(browser: Any) -> None:
        try:
            answer = browser.post(f"{LIST}requeue-matching/", values, follow=True)
            pages.append(answer.content.decode())
        finally:
            connection.close()

    threads = [threading.Thread(target=confirm, args=[browser]) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert OperationRun.objects.count() == 1
    assert sorted("is active already" in page for page in pages) == [False, True]
    assert OperationRunItem.objects.count() == 3


def test_a_letters_page_begins_with_what_happened_and_tells_its_actions_apart() -> None:
    [letter] = create_dead_letters(1)
    page = console(create_user()).get(f"{LIST}{letter}/change/").content.decode()
    assert "Dead after" in page
    assert page.index('id="verdict"') < page.index("retries_exhausted")
    assert page.index(">Requeue</a>") < page.index(">Dismiss</a>")
    assert f'class="btn go big" href="{LIST}{letter}/requeue/"' in page
    assert f'class="btn warn big" href="{LIST}{letter}/dismiss/"' in page
    viewer = console(create_user("vic", "Viewer")).get(f"{LIST}{letter}/change/").content.decode()
    assert ">Requeue</a>" not in viewer


def test_a_letter_in_the_list_names_each_of_its_cells_for_a_phone() -> None:
    create_dead_letters(1)
    page = console(create_user()).get(f"{LIST}?group=all").content.decode()
    for title in ("Id", "Status", "Endpoint key", "Last error", "Attempts"):
        assert f'data-l="{title}"' in page, title
