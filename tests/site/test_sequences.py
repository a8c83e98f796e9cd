"""Ids have 64 bits, and a sequence at its end blames no caller."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
from django.test import Client

from governance.kernel import sequences
from orbit.models import AppliedFiles, CycleRun
from orbit.queue import WAKE, PgBroker
from orbit_site import health
from orbit_site.processes.postgres import Server
from tests.support.callers import api, console, create_user, problem
from tests.support.pipeline import rows

QUEUE = "django_q_ormq_id_seq"
#: Integers of other sizes that can't outgrow them: a row that is alone, and no ids.
NO_IDS = {
    ("governance_alertwatch", "id"),
    ("governance_audithead", "id"),
    ("orbit_appliedfiles", "id"),
    ("telemetry_outboxstate", "id"),
}


@pytest.mark.django_db
def test_every_id_and_every_sequence_has_64_bits() -> None:
    narrow = rows(
        """SELECT c.relname, a.attname
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
          AND a.atttypid IN ('int2'::regtype, 'int4'::regtype) AND a.attnum > 0
          AND (
              a.attname = 'id' OR right(a.attname, 3) = '_id' OR a.attidentity <> ''
              OR EXISTS (
                  SELECT FROM pg_constraint AS f
                  WHERE f.contype = 'f' AND f.conrelid = c.oid AND a.attnum = ANY (f.conkey)
              )
          )"""
    )
    assert set(narrow) == NO_IDS
    ends = "SELECT sequencename FROM pg_sequences WHERE data_type <> 'bigint'::regtype OR cycle"
    assert rows(f"{ends} OR max_value < 9223372036854775807") == []
    assert sequences.nearly_used() == []


@pytest.fixture
def full(server: Server, committed: str) -> Iterator[psycopg.Connection]:
    """The owner's session; the queue's sequence is at its end."""
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute(f"SELECT setval('{QUEUE}', 1000)")
        owner.execute(f"ALTER SEQUENCE {QUEUE} MAXVALUE 1000")
        yield owner
        owner.execute(f"ALTER SEQUENCE {QUEUE} NO MAXVALUE")


def test_a_full_queue_blames_nobody_and_loses_nothing(
    full: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    client = api(create_user())
    answer = client.post("/cycles/trigger", {"payload": 1}, Idempotency_Key="once")
    refusal = problem(answer, 503, "database_unavailable")
    assert refusal["detail"].startswith("The database has run out of numbers.")
    assert answer.headers["Retry-After"]
    assert QUEUE in caplog.text
    assert not CycleRun.objects.exists()
    full.execute(f"ALTER SEQUENCE {QUEUE} NO MAXVALUE")
    answer = client.post("/cycles/trigger", {"payload": 1}, Idempotency_Key="once")
    assert answer.status_code == 202


def test_a_sequence_near_its_end_is_named_while_it_still_works(
    full: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    full.execute(f"SELECT setval('{QUEUE}', 950)")
    AppliedFiles.objects.update(sha256="0" * 64)
    with caplog.at_level(logging.WARNING):
        results = health.Probe().results()
    assert results["writable"] == health.DEGRADED
    assert f"{QUEUE}: nearly out of numbers" in caplog.text
    assert f"{QUEUE} is nearly out of numbers" in console(create_user()).get("/admin/").text


def test_ids_beyond_32_bits_work_in_the_queue_and_for_users(server: Server, committed: str) -> None:
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        for sequence in (QUEUE, "auth_user_id_seq", "auth_group_id_seq"):
            owner.execute("SELECT setval(%s, 5000000000)", [sequence])
    user = create_user(role="Administrator")
    assert user.pk > 2**31
    page = console(user)
    assert page.get("/admin/auth/user/").status_code == 200
    assert page.get(f"/admin/auth/user/{user.pk}/change/").status_code == 200
    assert api(user).post("/cycles/trigger", {"payload": 1}).status_code == 202
    assert [task > 2**31 for task, _ in PgBroker(WAKE).dequeue()] == [True]


def test_a_fault_of_ours_in_a_statement_is_no_bad_request(
    committed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("governance.access.tokens.authenticate", lambda _: rows("SELECT 1 / 0"))
    client = Client(raise_request_exception=False)
    answer = client.get("/cycles", headers={"Authorization": "Bearer x"})
    problem(answer, 500, "internal_error")
    assert "ZeroDivision" in caplog.text or "division by zero" in caplog.text
