"""The audit trail in the console."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from governance import audit
from governance.admin import audit as audit_admin
from governance.audit import verify
from governance.audit.actions import Action
from governance.kernel import request_context
from governance.models import AuditHead, AuditTrailEntry
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db
LIST = "/admin/governance/audittrailentry/"


@pytest.fixture(autouse=True)
def entries() -> None:
    for namespace, action, object_id in (
        ("eu", Action.NAMESPACE_HALTED, "a"),
        ("us", Action.CYCLE_CANCELLED, "b"),
        (None, Action.CONFIG_RELOADED, "c"),
    ):
        token = request_context.request_id.set(f"req-{object_id}")
        with audit.transaction():
            audit.record(
                action,
                actor="ann",
                namespace=namespace,
                object_type="thing",
                object_id=object_id,
                before={"n": 1, "same": 2, "list": [1]},
                after={"n": "<script>", "same": 2, "list": [1, {"x/y": None}]},
            )
        request_context.request_id.reset(token)


def listed_entries(browser: Client, query: str = "") -> list[int]:
    page = browser.get(f"{LIST}?{query}").content.decode()
    return [number for number in (1, 2, 3) if f"/audittrailentry/{number}/change/" in page]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3]),
        ("actor=ann&action=", [1, 2, 3]),
        ("actor=eve", []),
        ("action=cycle.cancelled", [2]),
        ("object_type=thing&object_id=c", [3]),
        ("request_id=req-a", [1]),
        ("namespace=us", [2]),
        ("q=2", [2]),
        ("from=2020-01-01T00:00&to=2999-01-01T00:00", [1, 2, 3]),
        ("from=2999-01-01T00:00", []),
        ("to=2020-01-01T00:00Z", []),
        ("from=yesterday", []),
        ("from=0001-01-01T00:00&to=9999-12-31T23:59", [1, 2, 3]),
    ],
)
def test_the_list_is_narrowed_by_its_form(query: str, expected: list[int]) -> None:
    assert listed_entries(console(create_user("vic", "Viewer")), query) == expected


def test_an_invalid_time_is_reported() -> None:
    assert (
        "From: must be a time"
        in console(create_user("vic", "Viewer")).get(f"{LIST}?from=yesterday").content.decode()
    )


def test_an_entry_shows_its_changes_and_that_its_neighbours_fit() -> None:
    page = console(create_user("vic", "Viewer")).get(f"{LIST}2/change/").content.decode()
    assert "The entry is unchanged, and its neighbours fit." in page
    assert all(entry.hash in page for entry in AuditTrailEntry.objects.all())
    assert page.count('<td class="mono">/') == 2
    row = '<td class="mono">/n</td><td class="wide was">1</td>'
    assert f'{row}<td class="wide is">&quot;&lt;script&gt;&quot;</td>' in page
    assert '<td class="mono">/list/1</td>' in page


def test_verify_reports_intact_or_the_first_broken_entry() -> None:
    browser = console(create_user("vic", "Viewer"))
    assert "Verify the chain" in browser.get(LIST).content.decode()
    page = browser.get(f"{LIST}verify/").content.decode()
    assert "The chain is intact: 3 entries up to #3" in page
    assert "hmac-sha256:" in page
    assert "Verify the chain</button>" in page
    AuditHead.objects.update(sequence=4)
    page = browser.get(f"{LIST}verify/").content.decode()
    assert "The chain is broken" in page
    assert "number 4" in page
    assert browser.get(f"{LIST}verify/?cursor=x").status_code == 400


def test_a_long_chain_is_walked_in_several_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "BATCH", 2)
    monkeypatch.setattr(audit_admin, "VERIFY_SECONDS", 0)
    browser = console(create_user("vic", "Viewer"))
    page = browser.get(f"{LIST}verify/")
    assert "No error up to entry 2 of 3" in page.content.decode()
    assert "intact" not in page.content.decode()
    # It goes on by itself, without scripts.
    cursor = page.context["check"].reached.cursor.replace(":", "%3A")
    assert f'<meta http-equiv="refresh" content="0;url=?cursor={cursor}">' in page.content.decode()
    further = browser.get(f"{LIST}verify/", {"cursor": page.context["check"].reached.cursor})
    assert "The chain is intact: 3 entries" in further.content.decode()


def test_a_download_holds_what_the_list_shows() -> None:
    browser = console(create_user("vic", "Viewer"))

    def lines(query: str = "") -> list[dict[str, Any]]:
        answer = browser.get(f"{LIST}export/?{query}")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        return [
            json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()
        ]

    assert [line.get("id") for line in lines()] == [1, 2, 3, None]
    assert lines("action=cycle.cancelled")[-1]["head"]["sequence"] == 3
    assert [line.get("id") for line in lines("action=cycle.cancelled")] == [2, None]
    assert browser.get(f"{LIST}export/?nonsense=1").status_code == 400


def test_a_confined_user_sees_only_entries_of_their_namespaces() -> None:
    browser = console(create_user("bea", "Administrator", "us"))
    assert listed_entries(browser) == [2]
    assert listed_entries(browser, "namespace=eu") == []
    assert browser.get(f"{LIST}1/change/").status_code == 404
    assert browser.get(f"{LIST}verify/").status_code == 403
    assert "Verify the chain" not in browser.get(LIST).content.decode()
    lines = b"".join(browser.get(f"{LIST}export/").streaming_content).decode().splitlines()
    assert [json.loads(line).get("id") for line in lines] == [2]


def test_old_entries_are_found_by_their_time_without_reading_newer_ones(
    django_assert_max_num_queries: Any,
) -> None:
    browser = console(create_user("vic", "Viewer"))
    moment = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    with django_assert_max_num_queries(30):
        assert listed_entries(browser, f"from={moment}") == [1, 2, 3]
