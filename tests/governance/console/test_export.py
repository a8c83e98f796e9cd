"""Lists as CSV: the filtered rows, whole, confined, and safe in a spreadsheet."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.db.utils import OperationalError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance import audit
from governance.audit.actions import Action
from governance.console.base import ReadOnlyAdmin
from governance.kernel import csv_text
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, Namespace, OperationRun
from governance.namespaces import registry
from governance.rest import csv_rows
from orbit_site import urls
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.telemetry_rows import create_one_of_each

pytestmark = pytest.mark.django_db

assert urls.urlpatterns  # loading them registers the tables
admin.autodiscover()
EXPORTED = {
    "governance.AuditTrailEntry",
    "governance.OperationRun",
    "governance.OperationRunItem",
    "orbit.CycleRun",
    "orbit.DeadLetterDispatch",
    "orbit.DispatchJob",
    "orbit.ValueLedgerEntry",
    "telemetry.ErrorGroup",
    "telemetry.TelemetryEvent",
}
AUDIT = reverse("admin:governance_audittrailentry_changelist")


def _rows(browser: Client, path: str, **filters: str) -> list[dict[str, str]]:
    answer: Any = browser.get(path, {**filters, "_export": "csv"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def _entries(count: int, *, actor: str = "ann", namespace: str | None = None) -> None:
    with audit.transaction():
        for number in range(count):
            audit.record(
                Action.NAMESPACE_HALTED,
                actor=actor,
                object_id=str(number),
                namespace=namespace,
                reason="=1+1",
            )


def test_every_list_that_should_has_a_download_whose_columns_can_be_read() -> None:
    create_one_of_each()
    browser = console(create_user("adm", "Administrator"))
    exported = set()
    for model, table in admin.site._registry.items():
        if not getattr(table, "exported", ()):
            continue
        assert isinstance(table, ReadOnlyAdmin)
        exported.add(model._meta.label)
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer: Any = browser.get(path, {"_export": "csv"})
        header, *rows = csv.reader(io.StringIO(b"".join(answer.streaming_content).decode()))
        assert header == [csv_rows.heading(name) for name in table.exported]
        # Users know namespaces by their names.
        assert not {name for name in header if "__" in name or name == "namespace_id"}, path
        assert all(len(row) == len(header) for row in rows)
    assert exported == EXPORTED


def test_the_columns_of_cycles_have_the_names_that_the_api_gives_them() -> None:
    registry.ensure(["a"])
    active_cycle("a")
    path = reverse("admin:orbit_cyclerun_changelist")
    (row,) = _rows(console(create_user("adm", "Administrator")), path)
    assert (row["namespace"], row["rerun_of"]) == ("a", "")
    assert not {"namespace_id", "rerun_of_id", "lease_expires_at"} & row.keys()


def test_operations_are_exported_with_the_name_of_their_namespace() -> None:
    registry.ensure(["eu"])
    namespace = Namespace.objects.get(name="eu")
    fields: dict[str, Any] = {"type": "dlq.bulk_requeue", "identity_hash": "x", "initiator": "ann"}
    fields |= {"status": "queued", "namespace": namespace, "scope": ["eu"]}
    OperationRun.objects.create(id=uuid7(), **fields)
    path = reverse("admin:governance_operationrun_changelist")
    rows = _rows(console(create_user("adm", "Administrator")), path)
    assert [row["namespace"] for row in rows] == ["eu"]


def test_it_keeps_the_filters_of_the_list_that_links_to_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_rows, "_BATCH", 3)
    _entries(7, actor="ann")
    _entries(2, actor="bob")
    browser = console(create_user("adm", "Administrator"))
    page = browser.get(AUDIT, {"actor": "ann"}).content.decode()
    assert 'href="?_export=csv&amp;actor=ann">Download CSV</a>' in page
    rows = _rows(browser, AUDIT, actor="ann")
    assert [row["object_id"] for row in rows] == list("6543210")
    assert {row["reason"] for row in rows} == {"'=1+1"}


def test_each_page_of_it_is_a_bounded_statement_by_the_key(monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_rows, "_BATCH", 4)
    _entries(8)
    rows = AuditTrailEntry.objects.filter(actor="ann")
    with CaptureQueriesContext(connection) as queries:
        text = "".join(csv_rows.lines(rows, ("id", "actor")))
    assert text.count("\r\n") == 9
    statements = [query["sql"] for query in queries.captured_queries]
    assert len(statements) == 3
    assert all("LIMIT 4" in statement and "OFFSET" not in statement for statement in statements)


def test_a_download_that_ends_early_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_rows, "_BATCH", 2)
    monkeypatch.setattr(csv_rows, "MOST", 4)
    _entries(5)
    lines = list(csv_rows.lines(AuditTrailEntry.objects.all(), ("id",)))
    assert "The download ends after 4 rows" in lines[-1]
    all_of_them = AuditTrailEntry.objects.filter(object_id__lt="4")
    assert "ends" not in "".join(csv_rows.lines(all_of_them, ("id",)))

    def cancelled(*args: Any) -> Any:
        raise OperationalError("canceling statement due to statement timeout")

    with connection.execute_wrapper(cancelled):
        lines = list(csv_rows.lines(AuditTrailEntry.objects.all(), ("id",)))
    assert "reading took too long" in lines[-1]


def test_a_confined_user_gets_the_rows_of_their_namespaces() -> None:
    _entries(2, namespace="a")
    _entries(3, namespace="b")
    _entries(1)
    browser = console(create_user("bea", "Viewer", "b"))
    assert {row["namespace"] for row in _rows(browser, AUDIT)} == {"b"}
    assert _rows(browser, AUDIT, namespace="a") == []


def test_who_may_not_see_the_list_or_misspells_a_filter_gets_no_file() -> None:
    active_cycle()
    outsider = create_user("out", "Viewer")
    outsider.groups.clear()
    cycles = reverse("admin:orbit_cyclerun_changelist")
    assert console(outsider).get(cycles, {"_export": "csv"}).status_code == 302
    browser = console(create_user("vic", "Viewer"))
    browser.raise_request_exception = False
    assert browser.get(cycles, {"_export": "csv", "input__contains": "a"}).status_code == 400
    # Without a download the parameter is a filter that doesn't exist.
    stages = reverse("admin:orbit_cyclecheckpoint_changelist")
    assert browser.get(stages, {"_export": "csv"}).status_code in {302, 400}


@pytest.mark.parametrize("first", [*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(first: str) -> None:
    assert csv_text.cell(f"{first}cmd") == f"'{first}cmd"


def test_other_values_are_written_as_the_api_writes_them() -> None:
    assert csv_text.cell(-1.5) == -1.5
    assert csv_text.cell(Decimal("1.500")) == "1.5"
    assert csv_text.cell(datetime(2026, 1, 31, 6, tzinfo=UTC)) == "2026-01-31T06:00:00Z"
    assert csv_text.cell({"b": 1, "a": "ü"}) == '{"a": "ü", "b": 1}'
    assert csv_text.lines([["a,b", 'c"d']]) == '"a,b","c""d"\r\n'
