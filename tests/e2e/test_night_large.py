"""S23: every list, filter and search of a large database takes few queries and counts no table.

``--rows 1000000`` by hand; the suite has fewer. Plans are checked by ``tests/site/test_plans.py``.
"""

import html
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, reset_queries
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse

from orbit_site.processes.postgres import Server
from tests.support import callers, large_database
from tests.support.crowded import database_of_its_own

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
FEW_QUERIES, MOST_BYTES, SECONDS = 30, 300 * 1024, 1.0
MILLION = 1_000_000
#: Links to the same list with other parameters: its filters, its order and its next page.
LINK = re.compile(r'href="(\?[^"#]+)"')
FIELDS = ("q", "actor", "run_profile_id", "request_id")


@pytest.fixture(scope="module")
def browser(
    server: Server, django_db_setup: None, django_db_blocker: Any, pytestconfig: pytest.Config
) -> Iterator[Client]:
    """An administrator's browser on a database of its own."""
    rows = pytestconfig.getoption("rows")
    events = 10 * rows if rows >= MILLION else rows
    with (
        django_db_blocker.unblock(),
        database_of_its_own(server, lambda owner: large_database.fill(owner, rows, events=events)),
    ):
        yield callers.console(callers.create_user("adm", "Administrator"))


def _lists() -> list[str]:
    get_resolver().url_patterns  # noqa: B018 - loading them registers the tables
    return sorted(
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    )


def _counts_all(sql: str) -> bool:
    """Tell whether ``sql`` counts the rows of a large table without a bound."""
    is_count = "COUNT(" in sql.upper() and "LIMIT" not in sql.upper()
    return is_count and "WHERE" not in sql.upper() and any(t in sql for t in large_database.LARGE)


def _faults(browser: Client, path: str, times: list[float]) -> tuple[list[str], str]:
    reset_queries()  # the log of a connection is bounded
    began = time.monotonic()
    with CaptureQueriesContext(connection) as captured:
        answer = browser.get(path)
    times.append(time.monotonic() - began)
    faults = [] if answer.status_code == 200 else [f"{path}: {answer.status_code}"]
    if len(captured) > FEW_QUERIES:
        faults.append(f"{path}: {len(captured)} queries")
    text = answer.content.decode()
    if len(answer.content) > MOST_BYTES and "_export" not in path:
        faults.append(f"{path}: {len(answer.content)} bytes")
    counts = [query["sql"] for query in captured.captured_queries if _counts_all(query["sql"])]
    return faults + [f"{path}: {sql[:200]}" for sql in counts], text


@pytest.mark.parametrize("path", _lists())
def test_s23_a_list_its_filters_and_its_search_take_few_queries(
    browser: Client, path: str, pytestconfig: pytest.Config
) -> None:
    times = list[float]()
    faults, text = _faults(browser, path, times)
    links = {html.unescape(link) for link in LINK.findall(text) if "_export" not in link}
    searches = {f"?{name}=r7" for name in FIELDS if f'name="{name}"' in text}
    for query in sorted(links | searches | {"?namespace=n7"}):
        faults += _faults(browser, path + query, times)[0]
    assert faults == []
    if pytestconfig.getoption("rows") >= MILLION:
        assert sorted(times)[int(len(times) * 0.95)] < SECONDS, times
