"""Every page of the console on a large database, beside the same pages on a small one.

``python -m benchmarks.console ROWS EVENTS VISITS`` fills the environment's database and prints what
the pages cost as JSON. An administrator visits all, and so does a user who sees two namespaces:
the pages of the menu, every list with one value of each of its filters and its second page, and
every tab of a cycle.
"""

import html
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import django
import psycopg
from django.conf import settings

from benchmarks.latency import percentile
from benchmarks.testbed import Testbed

SMALL = 10_000
GOAL_MS, GOAL_QUERIES, GOAL_KIB = 500, 30, 300
DASHBOARD_QUERIES = 15
#: Links of a list to itself: filters, order, pages. Those of CSV are downloads.
LINK = re.compile(r'href="(\?[^"#]+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What a page cost: milliseconds by the clock of each visit, in order, and of CPU time."""

    user: str
    path: str
    status: int
    took: list[float]
    cpu: float
    queries: int
    kib: float

    @property
    def p95(self) -> float:
        """The 95th percentile."""
        return percentile(self.took, 0.95)

    @property
    def is_met(self) -> bool:
        """Whether the page reaches all goals."""
        most = DASHBOARD_QUERIES if self.path == "/admin/" else GOAL_QUERIES
        return (
            self.status in {200, 302}  # a search for one object leads there
            and self.p95 < GOAL_MS
            and self.queries <= most
            and self.kib <= GOAL_KIB
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The pages of the large database, and of the small one by user and kind."""

    rows: int
    events: int
    pages: list[Page]
    small: dict[tuple[str, str], Page]

    def lines(self) -> list[str]:
        """Return the table, the slowest page first."""
        missed = [page for page in self.pages if not page.is_met]
        met = "goal met" if not missed else f"GOAL MISSED by {len(missed)}"
        worst = sorted(self.pages, key=lambda page: -page.p95)
        return [
            "",
            f"Console: {len(self.pages)} pages, {self.rows:,} cycles, {self.events:,} events: "
            f"{met} (p95 below {GOAL_MS} ms, at most {GOAL_QUERIES} queries, the dashboard "
            f"{DASHBOARD_QUERIES}, {GOAL_KIB} KiB); ratio of CPU time to {SMALL:,} cycles",
            f"{'p50 ms':>8}{'p95 ms':>8}{'CPU ms':>8}{'ratio':>7}{'queries':>9}{'KiB':>6}  page",
            *(self._line(page) for page in worst),
        ]

    def _line(self, page: Page) -> str:
        small = self.small.get((page.user, _kind(page.path)))
        ratio = f"{page.cpu / small.cpu:.1f}" if small and small.cpu else ""
        return (
            f"{percentile(page.took, 0.5):>8.0f}{page.p95:>8.0f}{page.cpu:>8.0f}{ratio:>7}"
            f"{page.queries:>9}{page.kib:>6.0f}  {page.user} {_shortened(page.path)}"
            f"{'' if page.is_met else '  MISSED'}"
        )


def measure(testbed: Testbed, *, rows: int, events: int, visits: int) -> Result:
    """Fill two databases, and visit every page of each so often."""
    small = _visited(testbed, SMALL, SMALL * events // rows, visits)
    large = _visited(testbed, rows, events, visits)
    return Result(rows, events, large, {(page.user, _kind(page.path)): page for page in small})


def database_of(rows: int) -> str:
    """Return the name of the database with so many cycles."""
    return f"console_{rows}"


def _visited(testbed: Testbed, rows: int, events: int, visits: int) -> list[Page]:
    name = database_of(rows)
    testbed.clone(name)
    done = testbed.measured("console", str(rows), str(events), str(visits), database=name)
    return [Page(**each) for each in done]


def _kind(path: str) -> str:
    """Return the page without its ids, which differ between the databases."""
    return re.sub(r"[0-9a-f-]{36}|[0-9a-f]{64}|\d{4,}", "*", path)


def _shortened(path: str) -> str:
    return path if len(path) < 90 else f"{path[:89]}…"


def main() -> None:
    rows, events, visits = map(int, sys.argv[1:])
    django.setup()
    settings.ALLOWED_HOSTS.append("testserver")  # the name that the visitors use
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        _fill(owner, rows, events)
    print(json.dumps(visit(visits)))


def _fill(owner: psycopg.Connection, rows: int, events: int) -> None:
    from tests.support import large_database

    # It brings its own configuration.
    owner.execute("TRUNCATE orbit_profile, orbit_runprofile CASCADE")
    large_database.fill(owner, rows, events=events)


def visit(visits: int) -> list[dict[str, Any]]:
    """Visit every page of the database; return what each took."""
    from django.test import Client

    from tests.support import callers

    users = {
        "adm": callers.create_user("adm", "Administrator"),
        "con": callers.create_user("con", "Operator", "n7", "n8"),
    }
    pages = [_measure(Client(), "-", "/admin/login/", visits)]  # to compare with
    for name, user in users.items():
        browser = callers.console(user)
        browser.raise_request_exception = False  # an error counts, and ends nothing
        for path in _addresses(browser):
            page = _measure(browser, name, path, visits)
            if user == users["adm"] or page["status"] not in {403, 404}:  # not open to others
                pages.append(page)
    return pages


def _measure(browser: Any, user: str, path: str, visits: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        answer = browser.get(path)
        length, queries = _length(answer), len(captured)
    took, spent = [], []
    for _ in range(visits if answer.status_code != 403 else 0):
        began, cpu = time.perf_counter(), _cpu()
        _length(browser.get(path))
        took.append((time.perf_counter() - began) * 1000)
        spent.append((_cpu() - cpu) * 1000)
    return {
        "user": user,
        "path": path,
        "status": answer.status_code,
        "took": sorted(took) or [0.0],
        "cpu": statistics.median(spent or [0.0]),
        "queries": queries,
        "kib": length / 1024,
    }


def _length(answer: Any) -> int:
    return len(answer.getvalue())


def _cpu() -> float:
    """Return the CPU seconds of this process and of its server process."""
    from django.db import connection

    connection.ensure_connection()
    clock = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return time.process_time() + int(clock.read_text().split()[0]) / 1e9


def _addresses(browser: Any) -> Iterator[str]:
    """Yield the addresses of all pages."""
    browser.get("/admin/")  # loading the addresses registers the tables
    seen = set()
    for path in [*_places(), *_tables(), *_searches(), *_objects()]:
        if path not in seen:
            seen.add(path)
            yield path
    for path in sorted(_lists() & seen):
        for address in dict.fromkeys(path + query for query in _links(browser, path)):
            if address not in seen:
                seen.add(address)
                yield address


def _places() -> list[str]:
    from orbit_site.console import menu

    listed = [each for places in (menu.PLACES | menu.BELOW).values() for _, each in places]
    return [
        *(f"/admin/{address}" for address in listed),
        *(f"/admin/{address}?namespace=n7" for address in listed),
        "/admin/banners/",
        "/admin/preferences/",
    ]


def _tables() -> list[str]:
    from django.contrib import admin
    from django.urls import reverse

    return sorted(
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    )


def _lists() -> set[str]:
    return {path for path in [*_places(), *_tables()] if "?" not in path}


def _searches() -> list[str]:
    words = ("HTTP 503", "HTTP", "01a2", "n7", "r7", "r", "123456", "0123456789abcdef" * 4)
    return [f"/admin/search/?q={word}" for word in (*words, _one("cyclerun"), "no-such-thing")]


def _objects() -> Iterator[str]:
    """Yield the pages of objects of the namespace n7: the newest of each table, and cycles."""
    for app, table in (
        ("orbit", "dispatchjob"),
        ("orbit", "deadletterdispatch"),
        ("orbit", "normalizationitem"),
        ("orbit", "deliveryreceipt"),
        ("orbit", "executionrecord"),
        ("orbit", "crontick"),
        ("orbit", "valueledgerentry"),
        ("orbit", "profile"),
        ("governance", "audittrailentry"),
        ("governance", "operationrun"),
        ("governance", "namespace"),
        ("advisory", "strategyproposal"),
        ("advisory", "advisorysignal"),
        ("telemetry", "telemetryevent"),
    ):
        key = _one(table, app)
        if key:
            yield f"/admin/{app}/{table}/{key}/change/"
    for cycle in filter(None, (_wide(), _failed(), _running())):
        page = f"/admin/orbit/cyclerun/{cycle}/"
        for tab in ("timeline", "provenance", "deliveries", "records", "leases", "context"):
            yield f"{page}change/?tab={tab}"
        yield f"{page}change/?tab=deliveries&show=failed"
        yield f"{page}run_again/"
    yield f"/admin/orbit/cyclerun/compare/?a={_wide()}&b={_failed()}&all=1"
    yield f"/admin/orbit/deadletterdispatch/?group={_group()}"
    yield f"/admin/orbit/deadletterdispatch/?group={_group()}&p=2"
    yield f"/admin/orbit/deadletterdispatch/?cycle__id__exact={_failed()}"
    yield "/admin/orbit/deadletterdispatch/?endpoint_key__exact=e7&group=all"
    for name in ("n7", "n8"):
        key = _value("SELECT id FROM governance_namespace WHERE name = %s", name)
        pages = ("halt", "resume") if key else ()
        yield from (f"/admin/governance/namespace/{key}/{page}/" for page in pages)
    for hours in (4, 24):
        yield f"/admin/handover/?hours={hours}"


def _links(browser: Any, path: str) -> Iterator[str]:
    """Yield one link for each parameter that the list's own links set, and some typed values."""
    answer = browser.get(path)
    if answer.status_code != 200:
        return
    text = answer.getvalue().decode()
    parameters = set()
    for link in LINK.findall(text):
        query = html.unescape(link)
        names = tuple(sorted(name for name, _ in parse_qsl(query[1:])))
        if names and names not in parameters and "_export" not in names:
            parameters.add(names)
            yield query
    typed = {"actor": "u7", "run_profile_id": "r7", "request_id": "x", "object_id": "x", "q": "r7"}
    for name, value in typed.items():
        if f'name="{name}"' in text and (name,) not in parameters:
            yield f"?{name}={value}"


def _one(table: str, app: str = "orbit") -> str:
    """Return the key of the newest row of the namespace n7, or of all if it has none."""
    from django.apps import apps
    from django.contrib import admin

    model = apps.get_model(app, table)
    rows = model._default_manager.order_by("-pk")
    path = admin.site._registry[model].namespace_path
    if table == "dispatchjob":
        rows = rows.filter(cycle_id=_wide() or None)
    elif path and path.endswith("namespace"):
        rows = rows.filter(**{path: "n7"})
    return str(rows.values_list("pk", flat=True).first() or "")


def _value(sql: str, *values: Any) -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _wide() -> str:
    from tests.support.large_database import WIDE_CYCLE

    return _value(WIDE_CYCLE)


def _failed() -> str:
    return _value(
        "SELECT id FROM orbit_cyclerun WHERE namespace = 'n7' AND status = 'failed'"
        " ORDER BY id DESC LIMIT 1"
    )


def _running() -> str:
    return _value(
        "SELECT id FROM orbit_cyclerun WHERE status = 'running'"
        " ORDER BY namespace IN ('n7', 'n8') DESC, id DESC LIMIT 1"
    )


def _group() -> str:
    return _value(
        "SELECT error_group FROM orbit_deadletterdispatch WHERE status = 'open'"
        " AND namespace = 'n7' ORDER BY id DESC LIMIT 1"
    )


if __name__ == "__main__":
    main()
