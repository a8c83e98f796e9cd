"""The audit trail: in one transaction with the change, one chain, and append-only."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from django.db import DatabaseError, connection, transaction

from governance import audit
from governance.audit import chain, verify
from governance.audit.actions import Action
from governance.models import AuditTrailEntry


def do(action: Action = Action.CYCLE_CANCELLED, **fields: object) -> None:
    with audit.transaction():
        audit.record(action, actor="ann", **fields)


def recomputed(entry: AuditTrailEntry) -> str:
    draft = chain.Draft(
        entry.actor,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.namespace,
        entry.before,
        entry.after,
        entry.reason,
        entry.request_id,
    )
    return chain.entry_hash(draft, number=entry.pk, at=entry.at, previous=entry.previous_hash)


def entries() -> list[AuditTrailEntry]:
    return list(AuditTrailEntry.objects.order_by("id"))


@pytest.mark.django_db
def test_entries_are_numbered_without_gaps_and_each_holds_the_hash_before_it() -> None:
    for n in range(3):
        do(after={"n": n, "big": 2**60, "tiny": 1e-9, "text": "ä\x00"}, namespace="eu")
    trail = entries()
    assert [entry.pk for entry in trail] == [1, 2, 3]
    assert trail[0].previous_hash == "0" * 64
    assert all(later.previous_hash == earlier.hash for earlier, later in pairwise(trail))
    assert all(recomputed(entry) == entry.hash for entry in trail)


@pytest.mark.django_db
def test_numbers_at_the_limits_of_what_jsonb_keeps_have_a_hash_that_holds() -> None:
    do(after=[0.0, 1e-4, 9.9e-5, 9.9e14, 1e15, 9.5e15, 2**53 - 1, 2**53, -(2**53), True])
    assert verify.walk()[0] == 1


@pytest.mark.django_db
def test_a_transaction_that_fails_leaves_no_entry_and_no_gap() -> None:
    do()
    with pytest.raises(ZeroDivisionError), audit.transaction():
        audit.record(Action.CYCLE_RERUN, actor="ann")
        raise ZeroDivisionError
    do()
    assert [(entry.pk, entry.action) for entry in entries()] == [
        (1, "cycle.cancelled"),
        (2, "cycle.cancelled"),
    ]


@pytest.mark.django_db
def test_a_nested_transaction_is_written_with_the_outer_one_and_rolled_back_alone() -> None:
    with audit.transaction():
        do(Action.CYCLE_TRIGGERED)
        with pytest.raises(ZeroDivisionError), audit.transaction():
            audit.record(Action.CYCLE_RERUN, actor="ann")
            raise ZeroDivisionError
        assert AuditTrailEntry.objects.count() == 0
        audit.record(Action.CYCLE_CANCELLED, actor="ann")
    assert [entry.action for entry in entries()] == ["cycle.triggered", "cycle.cancelled"]


def test_a_record_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(audit.OutsideTransaction):
        audit.record(Action.CYCLE_CANCELLED, actor="ann")


@pytest.mark.usefixtures("committed")
def test_sixteen_writers_make_one_chain() -> None:
    def write(n: int) -> None:
        try:
            do(after={"n": n})
        finally:
            connection.close()

    for turn in range(1, 21):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(write, range(48)))
        trail = entries()
        assert [entry.pk for entry in trail] == list(range(1, 48 * turn + 1))
    assert all(later.previous_hash == earlier.hash for earlier, later in pairwise(trail))
    assert all(later.at >= earlier.at for earlier, later in pairwise(trail))
    assert verify.walk()[0] == len(trail)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE governance_audittrailentry SET actor = 'eve'",
        "DELETE FROM governance_audittrailentry",
        "TRUNCATE governance_audittrailentry",
        "ALTER TABLE governance_audittrailentry DISABLE TRIGGER ALL",
        "DROP TABLE governance_audittrailentry",
    ],
)
def test_the_role_of_the_processes_can_only_append(sql: str) -> None:
    do()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert AuditTrailEntry.objects.get().actor == "ann"


@pytest.mark.django_db
def test_the_database_and_python_compute_the_same_hash_of_any_text() -> None:
    with audit.transaction():
        for text in (
            "plain",
            'quote " back \\ slash',
            "line\nfeed\ttab",
            "ä 漢 \U0001f600 \u2028",
            "{braces} %s %%",
            "",
        ):
            audit.record(
                Action.CYCLE_CANCELLED,
                actor=text,
                object_type=text[:100],
                object_id=text,
                namespace=text or None,
                reason=text,
                before=text,
                after={text: [text, 1.5, -0.0, 1e-7, 10**15, None, True]},
            )
        for _ in range(100):
            audit.record(Action.CYCLE_CANCELLED, actor="ann")
    assert len({entry.at for entry in entries()}) == 1
    assert all(recomputed(entry) == entry.hash for entry in entries())
    assert verify.walk()[0] == 106
