"""The gate as others ask it: in bulk, and with what it says."""

import pytest

from governance.access.actors import SYSTEM, NamespaceUnknown
from governance.namespaces import gate, halts, registry
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


def test_many_namespaces_are_asked_for_in_one_query(django_assert_num_queries) -> None:
    registry.ensure(["a", "b", "c"])
    halts.halt("a", actor=SYSTEM, reason="a flood")
    halts.drain("b", actor=SYSTEM, reason="a release")
    with django_assert_num_queries(1):
        found = gate.stops(["a", "b", "c", "unknown"])
    assert {name: refusal.code for name, refusal in found.items()} == {
        "a": "namespace_halted",
        "b": "namespace_draining",
    }
    assert found["a"].extra["by"] == "orbit"
    assert found["a"].extra["reason"] == "a flood"
    assert found["a"].extra["since"].endswith("Z")


def test_of_the_names_that_a_watch_asks_for_the_closed_ones_come_back() -> None:
    registry.ensure(["a", "b", "c"])
    halts.halt("a", actor=SYSTEM)
    halts.drain("b", actor=SYSTEM, reason="a release")
    assert gate.CLOSED.rows(names=["a", "b", "c"]) == [("a",)]


def test_an_unknown_namespace_is_unknown() -> None:
    with pytest.raises(NamespaceUnknown):
        gate.refuse_if_stopped("nowhere")


def test_a_processs_own_pause_comes_before_everything(settings) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    assert {name: refusal.extra for name, refusal in gate.stops(["default"]).items()} == {
        "default": {"source": "environment"}
    }
    with pytest.raises(gate.GloballyPaused, match="ORBIT_GLOBAL_PAUSE"):
        gate.refuse_if_stopped("nowhere")


@pytest.mark.parametrize("condition", [gate.OPEN_SQL, gate.STARTS_SQL])
def test_a_claim_looks_at_the_pause_once_by_its_index_however_many_rows_it_asks_for(
    condition: str,
) -> None:
    rows("SELECT set_config('enable_seqscan', 'off', true)")
    asked = f"EXPLAIN SELECT 1 FROM orbit_cyclerun c WHERE c.next_due_at <= now() AND {condition.format(namespace='c.namespace')}"
    plan = "\n".join(line for (line,) in rows(asked))
    assert "InitPlan" in plan
    assert "One-Time Filter" in plan
    assert "one_open_stop" in plan
    assert "SubPlan" not in plan
    assert "Seq Scan" not in plan
