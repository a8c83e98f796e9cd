"""The audit of the conductor reports each rule that is broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.access.actors import SYSTEM
from governance.operations import ledger
from governance.states import Outcome
from orbit.conductor import aggregate, create, fanout, fenced, leases
from orbit.conductor.fenced import Held
from orbit_site.processes.postgres import Server
from telemetry import forward
from tests.chaos.conductor_audit import RECORD, ConductorAudit
from tests.chaos.conductor_load import KINDS
from tests.chaos.testbed import open_testbed

pytestmark = [pytest.mark.processes, pytest.mark.one_database]


@pytest.fixture
def done(server: Server, committed: str, tmp_path: Path) -> Iterator[ConductorAudit]:
    """The audit of two runs that have ended without violations."""
    with open_testbed(server, committed, tmp_path, seed=1) as testbed:
        testbed.query(RECORD)
        accepted = {_create(kind): kind for kind in ("fan-out", "leaves")}
        fanout.run_fanout_once()
        effects = tmp_path / "effects"
        with effects.open("w") as file:
            for task in leases.claim(SYSTEM, "w", 1_000):
                file.write(f"{task.id} {task.attempt}\n")
                held = Held(task.id, task.lease_token)
                fenced.complete([held], [{"attempt": 1}], actor=SYSTEM)
        aggregate.run_to_end()
        while forward.forward():
            pass
        for _ in range(2):
            run, _made = ledger.ensure_workspace_run_with_identity(
                "ops.reconcile_adapter_runs", {}, initiator="orbit"
            )
            ledger.complete(run, Outcome.SUCCEEDED, {}, progress={})
        yield ConductorAudit(testbed, accepted, [effects])


def _create(kind: str) -> str:
    return create.create({"name": kind, "tasks": KINDS[kind].tasks}, actor=SYSTEM).id


LEAF = "WHERE id = (SELECT max(id) FROM orbit_conductortask WHERE NOT is_parent)"
RULES: list[tuple[str, str]] = [
    ("T1: the fan-out run", "UPDATE orbit_conductorrun SET state = 'FAILED'"),
    ("T2: the parent", "UPDATE orbit_conductorparent SET fanned_out = 0"),
    ("T2: the count", "INSERT INTO orbit_conductortally (run_id) VALUES ('x')"),
    ("T3: ", "UPDATE orbit_conductorparent SET failed = 1"),
    ("T4: ", f"UPDATE orbit_conductortask SET attempt = 2 {LEAF}"),
    (
        "T4: ",
        "INSERT INTO chaos_transition SELECT * FROM chaos_transition WHERE target = 'SUCCEEDED'",
    ),
    ("T5: the task", "INSERT INTO chaos_transition SELECT * FROM chaos_transition LIMIT 1"),
    ("T5: the task", "DELETE FROM chaos_transition WHERE target = 'SUCCEEDED'"),
    ("T5: the task", "UPDATE chaos_transition SET source = 'FAILED' WHERE target = 'SUCCEEDED'"),
    (
        "T5: the reconciliation",
        "UPDATE governance_operationrun SET type = 'telemetry.reconcile',"
        ' progress = \'{"drift": {"status_mismatch": {"count": 1}}}\'',
    ),
    (
        "T6: ",
        "UPDATE orbit_conductortask SET state = 'RUNNING', ready = true, lease_token = NULL"
        f" {LEAF}",
    ),
    ("T7: the operation run", "UPDATE governance_operationrun SET outcome = 'failed'"),
    (
        "T7: ops.reconcile_adapter_runs ran twice",
        "UPDATE governance_operationrun SET started_at = now() - interval '1 hour'",
    ),
    (
        "T7: there was no",
        "UPDATE governance_operationrun SET finished_at = now() - interval '1 hour'"
        " WHERE id = (SELECT min(id::text)::uuid FROM governance_operationrun)",
    ),
]


@pytest.mark.timeout(240)
def test_each_broken_rule_is_reported(done: ConductorAudit) -> None:
    assert [*done.reconcile(), *done.look()] == []
    testbed = done.testbed
    for prefix, statement in RULES:
        testbed.query("BEGIN")
        for table in ("orbit_conductortask", "orbit_conductorrun"):
            testbed.query(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        testbed.query(statement)
        violations = done.look()
        testbed.query("ROLLBACK")
        assert any(violation.startswith(prefix) for violation in violations), (prefix, violations)
