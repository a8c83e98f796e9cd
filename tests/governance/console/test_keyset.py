"""Lists in pages by key."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.console import keyset
from governance.kernel.identifiers import uuid7
from governance.namespaces import registry
from orbit.models import CycleRun, OverviewFacts
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle

LIST = "/admin/orbit/cyclerun/"


def _create(number: int) -> list[str]:
    registry.ensure(["a"])
    last = active_cycle("a")
    CycleRun.objects.filter(pk=last.pk).update(
        status="failed", next_due_at=None, finished_at=last.created_at
    )
    row = CycleRun.objects.get(pk=last.pk)
    rows = []
    for _ in range(number - 1):
        row.pk = uuid7()
        rows.append(CycleRun(**{f.attname: getattr(row, f.attname) for f in row._meta.fields}))
    CycleRun.objects.bulk_create(rows)
    return [str(pk) for pk in CycleRun.objects.order_by("-id").values_list("pk", flat=True)]


def _ids(page: str) -> list[str]:
    return re.findall(r'name="_selected_action" value="([0-9a-f-]{36})"', page)


def _link(page: str, word: str) -> str:
    match = re.search(rf'href="([^"]+)">{word}</a>', page)
    return LIST + match[1].replace("&amp;", "&") if match else ""


@pytest.mark.django_db
def test_the_pages_older_and_newer_show_every_row_once_and_keep_the_filters() -> None:
    ids = _create(120)
    browser = console(create_user())
    first = browser.get(f"{LIST}?status=failed").content.decode()
    second = browser.get(_link(first, "Older")).content.decode()
    third = browser.get(_link(second, "Older")).content.decode()
    assert _ids(first) + _ids(second) + _ids(third) == ids
    assert not _link(first, "Newer") and not _link(third, "Older")
    assert "status=failed" in _link(second, "Newer")
    assert _ids(browser.get(_link(third, "Newer")).content.decode()) == _ids(second)


@pytest.mark.django_db
def test_a_page_of_fifty_costs_as_many_queries_as_a_page_of_one() -> None:
    browser = console(create_user())

    def queries() -> int:
        # Else a look within two seconds of the one before costs less.
        OverviewFacts.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(LIST).status_code == 200
        return len(captured)

    _create(1)
    queries()
    one = queries()
    _create(60)
    registry.ensure([f"n{number}" for number in range(20)])
    for number in range(20):
        active_cycle(f"n{number}")
    assert queries() <= min(one + 3, 30)  # what active cycles wait for


@pytest.mark.parametrize("key", ["x", "0" * 10_000, "1"])
@pytest.mark.django_db
def test_a_key_that_is_none_leads_to_the_whole_list(key: str) -> None:
    browser = console(create_user())
    for name in (keyset.OLDER, keyset.NEWER):
        answer: Any = browser.get(LIST, {name: key}, follow=True)
        assert answer.status_code == 200
        assert "That page of the list doesn" in answer.content.decode()
