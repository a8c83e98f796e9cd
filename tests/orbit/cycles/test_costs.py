"""What each cycle costs the database beside its rows."""

import pytest

from governance.kernel import sql
from orbit import queue
from orbit.cycles import bridge, lease, maintenance, progress
from orbit.dispatch.state import EndpointCache
from tests.support.pipeline import configure_profiles, rows, start_cycle

pytestmark = pytest.mark.django_db

#: Tables that a trigger or a cycle writes.
HOT = [
    "governance_audittrailentry",
    "orbit_cyclecheckpoint",
    "orbit_cyclerun",
    "orbit_deliveryreceipt",
    "orbit_dispatchjob",
    "orbit_recordgroup",
    "orbit_initiation",
    "orbit_normalizationbatch",
    "orbit_normalizationitem",
    "orbit_transformation",
    "orbit_valueledgerentry",
    "telemetry_outboxevent",
    "telemetry_telemetryevent",
]


def test_no_table_that_each_cycle_writes_has_an_index_for_like() -> None:
    """Django makes one beside each unique text; no query of ours uses it."""
    assert (
        rows(
            "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_opclass o"
            " ON o.oid = ANY(i.indclass::oid[]) AND o.opcname LIKE '%%pattern_ops'"
            " WHERE i.indrelid = ANY(%s::regclass[])",
            HOT,
        )
        == []
    )


def test_what_a_trigger_a_resume_and_each_second_ask_is_planned_once() -> None:
    configure_profiles()
    start_cycle()
    (cycle,) = lease.claim(1)
    progress.load(cycle, EndpointCache())
    lease.next_due()
    lease.is_suspected_due()
    maintenance.count_late(1.0)
    queue.PgBroker().dequeue()
    prepared = {text for (text,) in rows("SELECT statement FROM pg_prepared_statements")}
    statements = [
        bridge.CURRENT,
        lease.CLAIM,
        lease.COUNT_SUSPECTED,
        lease.NEXT_DUE,
        maintenance.COUNT_FORGOTTEN,
        progress.READ_CHECKPOINTS,
        progress.READ_JOBS,
        progress.READ_TIERS,
        queue.CLAIM,
    ]
    assert {each.name for each in statements if sql._numbered(each.text)[0] in prepared} == {
        each.name for each in statements
    }
