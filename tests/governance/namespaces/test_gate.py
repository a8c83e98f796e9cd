"""The gate: its refusals, in bulk and in statements."""

import pytest

from governance.access.actors import SYSTEM, NamespaceUnknown
from governance.kernel.sql import Fragment
from governance.namespaces import gate, halts, registry
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


def test_many_namespaces_are_checked_in_one_query(django_assert_num_queries) -> None:
    registry.ensure(["a", "b", "c"])
    halts.halt("a", actor=SYSTEM, reason="a flood")
    halts.drain("b", actor=SYSTEM, reason="a release")
    with django_assert_num_queries(1):
        refusals = gate.refusals(["a", "b", "c", "unknown"])
    assert {name: refusal.code for name, refusal in refusals.items()} == {
        "a": "namespace_halted",
        "b": "namespace_draining",
    }
    assert refusals["a"].extra["by"] == "orbit"
    assert refusals["a"].extra["reason"] == "a flood"
    assert refusals["a"].extra["since"].endswith("Z")


def test_the_closed_ones_of_many_namespaces_are_returned() -> None:
    registry.ensure(["a", "b", "c"])
    halts.halt("a", actor=SYSTEM)
    halts.drain("b", actor=SYSTEM, reason="a release")
    assert gate.CLOSED.rows(names=["a", "b", "c"]) == [("a",)]


def test_an_unknown_namespace_is_unknown() -> None:
    with pytest.raises(NamespaceUnknown):
        gate.ensure_may_start("nowhere")


def test_the_pause_of_the_process_comes_before_everything(settings) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    assert {name: refusal.extra for name, refusal in gate.refusals(["default"]).items()} == {
        "default": {"source": "environment"}
    }
    with pytest.raises(gate.GloballyPaused, match="ORBIT_GLOBAL_PAUSE"):
        gate.ensure_may_start("nowhere")


@pytest.mark.parametrize("condition", [gate.OPEN, gate.STARTS])
def test_a_claim_of_many_rows_reads_the_pause_once_by_its_index(
    condition: Fragment,
) -> None:
    rows("SELECT set_config('enable_seqscan', 'off', true)")
    where = condition.render("condition", ["c.namespace"])
    query = f"SELECT 1 FROM orbit_cyclerun c WHERE c.next_due_at <= now() AND {where}"
    plan = "\n".join(line for (line,) in rows(f"EXPLAIN {query}"))
    assert "InitPlan" in plan
    assert "One-Time Filter" in plan
    assert "one_open_stop" in plan
    assert "SubPlan" not in plan
    assert "Seq Scan" not in plan
