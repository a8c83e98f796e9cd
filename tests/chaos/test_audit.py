"""The audit reports each rule that is broken, in the database or in the sink's journal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from orbit_site.processes.postgres import Server
from tests.chaos.audit import Audit
from tests.chaos.sink import Entry
from tests.chaos.testbed import Testbed, open_testbed

pytestmark = pytest.mark.processes

RECORDS = "ALTER TABLE orbit_recordgroup DISABLE TRIGGER USER"
CHECKPOINTS = "ALTER TABLE orbit_cyclecheckpoint DISABLE TRIGGER USER"


@pytest.fixture
def done(server: Server, committed: str, tmp_path: Path) -> Iterator[Testbed]:
    """A testbed on which one cycle has run without violations."""
    with open_testbed(server, committed, tmp_path, seed=1) as testbed:
        testbed.configure(["r1"], testbed.asking_tiers())
        testbed.ready(testbed.cluster())
        testbed.finish(testbed.begin("r1"))
        yield testbed


def by_rows(*statements: str) -> Callable[[Testbed], None]:
    def break_rule(testbed: Testbed) -> None:
        for statement in statements:
            testbed.query(statement)

    return break_rule


def in_journal(
    change: Callable[[Entry], Entry | None], place: int = -1
) -> Callable[[Testbed], None]:
    def break_rule(testbed: Testbed) -> None:
        entry = testbed.sink.journal.pop(place)
        testbed.sink.journal += [changed for changed in [change(entry)] if changed]

    return break_rule


def with_members(**members: object) -> Callable[[Entry], Entry]:
    return lambda entry: Entry(**{**entry.__dict__, **members})


def send_again(testbed: Testbed) -> None:
    """Record and send a second attempt of a delivered job."""
    testbed.query("""INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker,
            fencing_token, started_at, finished_at, body_sha256)
        SELECT gen_random_uuid(), job_id, 2, 'unknown', worker,
            fencing_token, clock_timestamp(), clock_timestamp(), body_sha256
        FROM orbit_deliveryreceipt LIMIT 1""")
    [(key,)] = testbed.query(
        "SELECT j.delivery_id::text FROM orbit_dispatchjob j"
        " JOIN orbit_deliveryreceipt r ON r.job_id = j.id WHERE r.attempt = 2"
    )
    [first] = [entry for entry in testbed.sink.journal if entry.key == key]
    testbed.sink.journal.append(
        Entry(**{**first.__dict__, "attempt": 2, "arrived": first.arrived + 60})
    )


FIRST_JOB = "WHERE id = (SELECT min(id::text)::uuid FROM orbit_dispatchjob)"
DROP_UNIQUE_CONSTRAINTS = """DO $$ DECLARE c text; BEGIN
FOR c IN SELECT conname FROM pg_constraint
    WHERE conrelid = 'orbit_normalizationitem'::regclass AND contype = 'u'
LOOP EXECUTE format('ALTER TABLE orbit_normalizationitem DROP CONSTRAINT %%I', c); END LOOP;
END $$"""
DOUBLE_ITEM = """INSERT INTO orbit_normalizationitem
    (id, batch_id, transformation_id, payload, content_type, sha256)
SELECT gen_random_uuid(), batch_id, transformation_id, payload, content_type, sha256
FROM orbit_normalizationitem LIMIT 1"""
RECORD_RESUME = """INSERT INTO orbit_executionrecord
    (id, partition_key, cycle_id, stage, event, data, created_at)
SELECT gen_random_uuid(), id, id, 'cycle', 'cycle_resumed', '{"token": 2}', created_at
FROM orbit_cyclerun"""
DELETE_CHECKPOINT = "DELETE FROM orbit_cyclecheckpoint WHERE stage = 'tier2_complete'"
CHANGE_TOKEN = "UPDATE orbit_cyclecheckpoint SET fencing_token = 9 WHERE stage = 'tier2_complete'"
CHANGE_RECORD = """UPDATE orbit_recordgroup SET records = jsonb_set(records, '{0,3}', '"x"')
WHERE records #>> '{0,1}' = 'cycle_started'"""
REOPEN_RECEIPTS = "UPDATE orbit_deliveryreceipt SET status = 'sending', finished_at = NULL"


@pytest.mark.timeout(240)
def test_each_broken_rule_is_reported(done: Testbed) -> None:
    broken_rules: list[tuple[str, Callable[[Testbed], None]]] = [
        ("I1: the accepted cycle", lambda testbed: testbed.accepted.append(uuid4())),
        ("I1: the cycle", by_rows("UPDATE orbit_cyclerun SET next_due_at = now()")),
        ("I1: the job", by_rows(f"UPDATE orbit_dispatchjob SET status = 'cancelled' {FIRST_JOB}")),
        (
            "I3: 1 times more than one of the items",
            by_rows(DROP_UNIQUE_CONSTRAINTS, DOUBLE_ITEM),
        ),
        ("I3: ", by_rows(CHECKPOINTS, DELETE_CHECKPOINT)),
        ("I3: tier 1", in_journal(with_members(arrived=9e9), 0)),
        ("I4: the sink got the key", in_journal(with_members(key="strange"))),
        ("I4: ", send_again),
        ("I4: attempt 1", by_rows(REOPEN_RECEIPTS)),
        ("I4: attempt 1", by_rows("UPDATE orbit_deliveryreceipt SET status = 'unsent'")),
        ("I5: attempt 1", in_journal(with_members(sha256="0" * 64))),
        ("I5: attempt 1", in_journal(lambda entry: None)),
        ("I6: attempt 1", in_journal(with_members(arrived=0.0))),
        ("I6: attempt 7", in_journal(with_members(attempt=7))),
        ("I7: the checkpoints", by_rows(CHECKPOINTS, CHANGE_TOKEN)),
        ("I7: attempt 1", by_rows(RECORD_RESUME)),
        ("I8: ", by_rows(RECORDS, CHANGE_RECORD)),
        ("I10: ", by_rows(f"UPDATE orbit_dispatchjob SET status = 'dead' {FIRST_JOB}")),
    ]
    for prefix, break_rule in broken_rules:
        audit, journal, accepted = Audit(done), list(done.sink.journal), list(done.accepted)
        assert audit.look() == []
        done.query("BEGIN")
        break_rule(done)
        violations = audit.look()
        done.query("ROLLBACK")
        done.sink.journal[:], done.accepted[:] = journal, accepted
        assert any(violation.startswith(prefix) for violation in violations), (prefix, violations)
