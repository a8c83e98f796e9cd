"""A page of the console that takes too long to read is refused."""

import pytest
from django.db import connection, connections

from governance.kernel import sql
from governance.kernel.statement_limit import statement_limit
from orbit_site.console import site
from tests.support.callers import console, create_user


def limit(alias: str = "default") -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "inside"), [("60s", "3s"), ("0", "3s"), ("500ms", "500ms"), ("3s", "3s")]
)
def test_the_limit_is_shortened_never_extended(before: str, inside: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{before}'")
    with statement_limit(3):
        assert limit() == inside
    assert limit() == "1min"  # the connection's own


@pytest.mark.django_db(databases="__all__")
def test_the_limit_holds_for_each_database_that_the_page_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connections.settings, "second", connection.settings_dict.copy())
    second = connection.copy()
    connections["second"] = second
    try:
        with statement_limit(3):
            assert second.connection is None  # it may be away: unused, it is not connected to
            assert limit("second") == "3s"
        assert limit("second") == "1min"
    finally:
        second.close()
        del connections["second"]


@pytest.mark.django_db
def test_a_prepared_statement_is_limited_even_if_it_is_the_first() -> None:
    with statement_limit(5):
        assert sql.send("SELECT current_setting('statement_timeout')", {}) == [("5s",)]


def test_a_list_that_waits_for_too_long_is_a_503_and_the_limit_ends_with_it(
    committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "READ_SECONDS", 0.2)
    browser = console(create_user())
    browser.raise_request_exception = False
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE orbit_deadletterdispatch IN ACCESS EXCLUSIVE MODE")
        assert browser.get("/admin/orbit/deadletterdispatch/").status_code == 503
        cursor.execute("ROLLBACK")
    other.close()
    assert limit() == "1min"
    assert browser.get("/admin/orbit/deadletterdispatch/").status_code == 200
