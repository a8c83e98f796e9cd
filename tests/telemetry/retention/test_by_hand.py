"""Archives that a user of the console verifies."""

from typing import Any

import pytest

from governance.models import AuditTrailEntry
from telemetry.models import TelemetryArchive
from telemetry.retention import by_hand, reading
from tests.support.callers import console, create_user
from tests.support.old_days import days_ago, ingest, run
from tests.support.telemetry import rows

pytestmark = pytest.mark.django_db

LIST = "/admin/telemetry/telemetryarchive/"


@pytest.fixture
def archives(settings: Any) -> list[TelemetryArchive]:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True
    old = days_ago(45)
    ingest(old, 3, namespace="a")
    ingest(old, 2, second=1)
    run(old)
    rows("UPDATE telemetry_telemetryarchive SET verified_at = '2026-01-01Z' RETURNING 1")
    return list(reading.archives(old))


def verify(browser: Any, archive: TelemetryArchive) -> str:
    path = f"{LIST}{archive.pk}/verify/"
    return str(browser.post(path, {"reason": "an audit"}, follow=True).content.decode())


def test_an_archive_is_verified_with_an_audit_entry(archives: list[TelemetryArchive]) -> None:
    browser = console(create_user("oli", "Operator"))
    assert "1 archive verified, 3 events." in verify(browser, archives[0])
    entry = AuditTrailEntry.objects.get(action="archive.verified")
    assert (entry.actor, entry.namespace, entry.reason) == ("oli", "a", "an audit")
    assert entry.after == {"day": str(archives[0].day), "event_count": 3, "problem": None}
    before, archives[0].verified_at = archives[0].verified_at, None
    archives[0].refresh_from_db()
    assert archives[0].verified_at > before  # type: ignore[operator]


def test_a_selection_is_verified_together(archives: list[TelemetryArchive]) -> None:
    browser = console(create_user("oli", "Operator"))
    chosen = [str(archive.pk) for archive in archives]
    answer = browser.post(
        LIST,
        {"action": "verify", "_selected_action": chosen, "asked": "1", "reason": "an audit"},
        follow=True,
    )
    assert "2 archives verified, 5 events." in answer.content.decode()


def test_damage_is_said_and_recorded(archives: list[TelemetryArchive]) -> None:
    rows("UPDATE telemetry_telemetryarchive SET event_count = 9 RETURNING 1")
    page = verify(console(create_user("oli", "Operator")), archives[0])
    assert "holds 3 events, not 9" in page
    assert "docs/operations.md" in page
    entry = AuditTrailEntry.objects.get(action="archive.verified")
    assert "holds 3 events, not 9" in entry.after["problem"]


def test_a_large_archive_is_left_to_the_command(
    archives: list[TelemetryArchive], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_hand, "SECONDS", -1.0)
    page = verify(console(create_user("oli", "Operator")), archives[0])
    assert f"manage.py telemetry archive verify {archives[0].day}" in page
    assert not AuditTrailEntry.objects.filter(action="archive.verified").exists()


def test_an_archive_in_the_making_has_no_verdict(archives: list[TelemetryArchive]) -> None:
    rows("UPDATE telemetry_telemetryarchive SET verified_at = NULL RETURNING 1")
    browser = console(create_user("oli", "Operator"))
    path = f"{LIST}{archives[0].pk}/"
    assert f"{path}verify/" not in browser.get(f"{path}change/").content.decode()
    assert "still being written" in verify(browser, archives[0])


def test_a_viewer_is_refused(archives: list[TelemetryArchive]) -> None:
    browser = console(create_user("vic", "Viewer"))
    path = f"{LIST}{archives[0].pk}/"
    assert f"{path}verify/" not in browser.get(f"{path}change/").content.decode()
    assert browser.post(f"{path}verify/", {"reason": "r"}).status_code == 403
