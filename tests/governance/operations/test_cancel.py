from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM, NotAllowed
from governance.models import AuditTrailEntry
from governance.namespaces import registry
from governance.operations import cancel, ledger
from governance.operations.ledger import OperationFinished, OperationUnknown
from governance.states import Outcome
from tests.support.pipeline import rows
from tests.support.polling import until


@pytest.mark.django_db
def test_a_cancelled_run_has_ended_keeps_its_counts_and_says_who() -> None:
    registry.ensure(["a"])
    run, _ = ledger.ensure_run_with_identity("a", "t", {}, initiator="ann")
    ledger.save_progress(
        run, {"total": 9, "processed": 4, "succeeded": 4, "canary_job_id": "x"}, wait=5
    )
    cancel.cancel(run.pk, actor=SYSTEM, reason="enough")
    run.refresh_from_db()
    assert (run.status, run.outcome, run.summary_counts) == (
        "completed",
        "cancelled",
        {"total": 9, "processed": 4, "succeeded": 4},
    )
    assert (run.cancel_requested_by, run.cancel_requested_at is not None, run.next_due_at) == (
        "orbit",
        True,
        None,
    )
    entry = AuditTrailEntry.objects.get(action="operation.cancelled")
    assert (entry.namespace, entry.reason, entry.object_id, entry.after["processed"]) == (
        "a",
        "enough",
        str(run.pk),
        4,
    )
    with pytest.raises(OperationFinished, match="cancelled"):
        cancel.cancel(run.pk, actor=SYSTEM, reason="again")


@pytest.mark.django_db
def test_a_run_that_is_hidden_or_not_permitted_is_not_cancelled() -> None:
    run, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    for actor, run_id in (
        (replace(SYSTEM, namespaces=frozenset({"a"})), run.pk),
        (SYSTEM, uuid4()),
    ):
        with pytest.raises(OperationUnknown):
            cancel.cancel(run_id, actor=actor, reason="x")
    with pytest.raises(NotAllowed):
        cancel.cancel(run.pk, actor=replace(SYSTEM, scopes=frozenset()), reason="x")
    run.refresh_from_db()
    assert run.status == "queued"


@pytest.mark.usefixtures("committed")
def test_a_cancel_that_waits_for_the_last_slice_comes_too_late_and_leaves_no_entry() -> None:
    run, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")

    def cancel_run() -> None:
        try:
            cancel.cancel(run.pk, actor=SYSTEM, reason="x")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            ledger.complete(run, Outcome.SUCCEEDED, {}, progress={})
            waiting = pool.submit(cancel_run)
            until(
                lambda: waiting.done() or rows("SELECT 1 FROM pg_locks WHERE NOT granted"),
                "the cancel neither waits nor ends",
            )
        with pytest.raises(OperationFinished):
            waiting.result(timeout=60)
    assert not AuditTrailEntry.objects.exists()
