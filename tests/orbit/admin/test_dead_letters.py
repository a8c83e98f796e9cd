"""Dead letters in the console: groups, the endpoint now, and actions on all that match."""

from typing import Any

import pytest

from governance.models import OperationRun, OperationRunItem
from orbit.models import DeadLetterDispatch
from tests.support.callers import console, create_user
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints

LIST = "/admin/orbit/deadletterdispatch/"


@pytest.fixture(autouse=True)
def _endpoints(committed: str, settings: Any) -> None:
    configure_endpoints(
        settings, default_endpoint="http://127.0.0.1:9/x", other="http://127.0.0.1:9/y"
    )


def test_groups_are_above_the_list_and_link_to_their_letters() -> None:
    inside, outside = (
        create_dead_letters(3, error="<b>{i}</b>"),
        create_dead_letters(1, key="other"),
    )
    group = DeadLetterDispatch.objects.get(pk=inside[0]).error_group
    browser = console(create_user())
    page = browser.get(LIST).content.decode()
    assert (
        f'<a href="?group={group}">default-endpoint: retries exhausted, &lt;b&gt;#&lt;/b&gt;</a>'
        in page
    )
    assert f"requeue-matching/?group={group}" in page
    members = browser.get(f"{LIST}?group={group}").content.decode()
    assert all(f"/{letter}/change/" in members for letter in inside)
    assert f"/{outside[0]}/change/" not in members
    viewer = console(create_user("vic", "Viewer")).get(LIST).content.decode()
    assert f"?group={group}" in viewer
    assert "-matching/" not in viewer


def test_an_open_letter_shows_whether_its_endpoint_has_changed(settings: Any) -> None:
    letter = create_dead_letters(1)[0]
    browser = console(create_user())
    assert "unchanged" in browser.get(f"{LIST}{letter}/change/").content.decode()
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/moved")
    assert "changed since" in browser.get(LIST).content.decode()
    configure_endpoints(settings, other="http://127.0.0.1:9/x")
    assert "no longer configured" in browser.get(LIST).content.decode()


@pytest.mark.parametrize("action", ["requeue", "dismiss"])
def test_all_letters_that_match_become_a_run_with_a_reason(action: str) -> None:
    a, _ = create_dead_letters(2, namespace="a"), create_dead_letters(2, namespace="b")
    browser = console(create_user())
    assert f"{action}-matching/?namespace=a" in browser.get(f"{LIST}?namespace=a").content.decode()
    page = browser.get(f"{LIST}{action}-matching/?namespace=a").content.decode()
    assert 'namespace is <span class="mono">a</span>' in page
    more = {"endpoint": "current", "rate": "7"} if action == "requeue" else {}
    assert (
        browser.post(f"{LIST}{action}-matching/?namespace=a", {"reason": " ", **more}).status_code
        == 200
    )
    assert not OperationRun.objects.exists()
    for words in ("takes 2 dead letters", "is active already and takes 2"):
        response = browser.post(
            f"{LIST}{action}-matching/?namespace=a", {"reason": "because", **more}, follow=True
        )
        run = OperationRun.objects.get()
        assert response.redirect_chain == [
            (f"/admin/governance/operationrun/{run.pk}/change/", 302)
        ]
        assert words in response.content.decode()
    assert (run.type, run.initiator, run.reason, run.scope) == (
        f"dlq.bulk_{action}",
        "ann",
        "because",
        ["a"],
    )
    assert set(OperationRunItem.objects.values_list("object_id", flat=True)) == set(a)


def test_a_list_with_a_filter_that_a_run_cannot_have_offers_no_run() -> None:
    create_dead_letters(1)
    browser = console(create_user())
    browser.raise_request_exception = False
    for query in ("q=x", "status=requeued"):
        assert "-matching/" not in browser.get(f"{LIST}?{query}&group=1").content.decode()
    # Each of these shows fewer letters than a run would take, or others.
    for query in (
        "endpoint_key=other",
        "endpoint_key__exact=",
        "group=",
        "endpoint_key__exact=a&endpoint_key__exact=b",
    ):
        page = browser.get(f"{LIST}?{query}")
        assert page.status_code == 200
        assert "all that match" not in page.content.decode(), query
        assert (
            browser.post(
                f"{LIST}requeue-matching/?{query}",
                {"reason": "x", "endpoint": "snapshot", "rate": "1"},
            ).status_code
            == 400
        )
    for query in ("o=1", "p=1", "status=open", "q=", "endpoint_key__exact=other"):
        assert "Requeue all that match" in browser.get(f"{LIST}?{query}").content.decode(), query
    assert (
        browser.post(
            f"{LIST}requeue-matching/?cycle__id__exact=x",
            {"reason": "x", "endpoint": "snapshot", "rate": "1"},
        ).status_code
        == 400
    )
    hidden = console(create_user("bea", "Operator", "c")).post(
        f"{LIST}dismiss-matching/?namespace=a", {"reason": "x"}
    )
    assert "There is no namespace" in hidden.content.decode()
    assert not OperationRun.objects.exists()


def test_only_an_operator_acts_on_all_that_match() -> None:
    for path in ("requeue-matching/", "dismiss-matching/"):
        assert console(create_user(f"v{path}", "Viewer")).get(LIST + path).status_code == 403


def test_a_letter_and_a_selection_are_dismissed_with_a_reason() -> None:
    first, *others = create_dead_letters(3)
    browser = console(create_user())
    assert (
        " dismissed."
        in browser.post(
            f"{LIST}{first}/dismiss/", {"reason": "too old"}, follow=True
        ).content.decode()
    )
    form = {
        "action": "dismiss",
        "_selected_action": [str(letter) for letter in [first, *others]],
        "asked": "1",
        "reason": "all too old",
    }
    page = browser.post(LIST, form, follow=True).content.decode()
    assert (page.count(" dismissed."), "It was dismissed by ann" in page) == (2, True)
    assert set(DeadLetterDispatch.objects.values_list("status", "resolved_by")) == {
        ("dismissed", "ann")
    }
