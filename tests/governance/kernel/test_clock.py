"""The database's clock decides, whatever the host's says."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import ApiToken
from governance.namespaces import stops
from tests.support.callers import create_user

DAY = 86400


def database_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(cursor.fetchone()[0])


def set_host_clock(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + days * DAY)


@pytest.mark.django_db
@pytest.mark.parametrize("days", [400, -70, -20_000])
def test_a_wrong_host_clock_is_known_and_not_used(
    monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    set_host_clock(monkeypatch, days)
    clock.read()
    assert clock.timestamp() == pytest.approx(database_time(), abs=2)
    assert clock.now().timestamp() == pytest.approx(database_time(), abs=2)
    assert clock.host_ahead() == pytest.approx(days * DAY, abs=2)


@pytest.mark.django_db
def test_a_machine_whose_steady_clock_slept_is_corrected_by_the_next_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.read()
    right = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda number: right(number) + 9 * DAY)
    assert clock.timestamp() == pytest.approx(database_time() + 9 * DAY, abs=2)
    clock.refresh()
    assert clock.timestamp() == pytest.approx(database_time(), abs=2)


@pytest.mark.usefixtures("committed")
def test_each_new_connection_is_asked_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.read()
    right = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda number: right(number) + 9 * DAY)
    connection.close()
    connection.ensure_connection()
    assert clock.timestamp() == pytest.approx(database_time(), abs=2)


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (0.2, ""),
        (-4.9, ""),
        (400 * DAY, "The clock of web-1 is 400 days ahead of the database's."),
        (-3 * 3600, "The clock of web-1 is 3 hours behind the database's."),
        (90, "The clock of web-1 is 90 seconds ahead of the database's."),
    ],
)
def test_a_difference_is_a_sentence(ahead: float, sentence: str) -> None:
    assert clock.describe_difference("web-1", ahead) == sentence


@pytest.mark.django_db
def test_a_token_expires_by_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    set_host_clock(monkeypatch, 400)
    expires_at = tokens.expiry(30)
    assert expires_at is not None
    assert expires_at.timestamp() == pytest.approx(database_time() + 30 * DAY, abs=5)
    token, raw = tokens.create(create_user(), scopes=["read"], actor=SYSTEM, expires_at=expires_at)
    assert (tokens.authenticate(raw) is not None, tokens.state(token)) == (True, "active")
    ApiToken.objects.update(expires_at=Now() - timedelta(seconds=1))
    token.refresh_from_db()
    set_host_clock(monkeypatch, -800)
    assert (tokens.authenticate(raw), tokens.state(token)) == (None, "expired")


@pytest.mark.django_db
def test_the_end_of_a_stop_is_checked_by_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    set_host_clock(monkeypatch, 400)
    stops.check_until(datetime.fromtimestamp(database_time() + 3600, UTC))
    set_host_clock(monkeypatch, -800)
    with pytest.raises(stops.UntilInvalid):
        stops.check_until(datetime.fromtimestamp(database_time() - 3600, UTC))
