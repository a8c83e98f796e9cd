"""Two transactions that start cycles in the same namespaces."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.namespaces import registry
from orbit.cycles import bridge, creation, trigger_batch
from orbit.cycles.creation import NewCycle
from orbit.cycles.trigger_batch import BatchTrigger
from orbit.models import CycleRun
from orbit.states import Cycle, Trigger
from tests.support.configuration import active_cycle


def test_a_second_try_does_not_wait_for_a_transaction_that_waits_for_this_one(
    committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.ensure(["a", "b"])
    before = active_cycle("a")
    has_inserted = threading.Event()

    def insert(namespace: str) -> None:
        context = bridge.raw_context(namespace)
        creation.insert([NewCycle(context, Trigger.REST, "bob")], Cycle.PENDING)

    def start_in_both() -> None:
        try:
            CycleRun.objects.filter(pk=before.pk).update(
                status="cancelled", next_due_at=None, finished_at=Now()
            )
            with transaction.atomic():
                insert("a")
                has_inserted.set()
                insert("b")
        finally:
            connection.close()

    read = creation.active_cycles
    others: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:

        def come_between_and_read(namespaces: Any) -> Any:
            if not others:
                others.append(pool.submit(start_in_both))
                assert has_inserted.wait(30)
            return read(namespaces)

        monkeypatch.setattr(creation, "active_cycles", come_between_and_read)
        outcomes = trigger_batch.start(
            [BatchTrigger("a"), BatchTrigger("b")], source=Trigger.REST, actor=SYSTEM
        )
    assert [outcome.outcome for outcome in outcomes] == ["skipped", "started"]
    assert others[0].result() is None
    active = CycleRun.objects.filter(status="pending").values_list("namespace", "triggered_by")
    assert set(active) == {("a", "bob"), ("b", "orbit")}
