"""The six decisions of the specification of operations, each by its name."""

import uuid
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, transaction

from governance.models import Namespace, OperationRun
from governance.namespaces import registry
from governance.operations import ledger, slices
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.housekeeping import adapter_runs
from orbit_site.processes.postgres import Server
from tests.support.dead_letters import make_due


def ensure(inputs: dict[str, Any]) -> OperationRun:
    return ledger.ensure_workspace_run_with_identity("ops.test", inputs, initiator="ann")[0]


def copy_of(run: OperationRun, **columns: Any) -> OperationRun:
    """Insert another active run of the same identity, past the ledger's functions."""
    return OperationRun.objects.create(
        **{
            "id": uuid.UUID(int=run.pk.int + 1),
            "namespace": run.namespace,
            "scope": run.scope,
            "type": run.type,
            "identity_hash": run.identity_hash,
            "status": "queued",
            "initiator": "bob",
            "next_due_at": run.next_due_at,
            **columns,
        }
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("namespace", "index"),
    [("eu", "one_active_run_in_a_namespace"), (None, "one_active_run_in_the_workspace")],
)
def test_decision_1_dedupe_is_by_unique_indexes_of_the_database(
    namespace: str | None, index: str
) -> None:
    registry.ensure(["eu"])
    if namespace is None:
        run = ensure({})
    else:
        run, _ = ledger.ensure_run_with_identity(namespace, "ops.test", {}, initiator="ann")
    with pytest.raises(IntegrityError, match=index), transaction.atomic():
        copy_of(run)
    # Over active runs only: one that has ended doesn't count.
    ledger.complete(run, Outcome.SUCCEEDED, {}, progress={})
    assert copy_of(run).status == "queued"


@pytest.mark.django_db
def test_decision_2_identity_is_the_runs_id_or_namespace_type_and_stable_inputs() -> None:
    run = ensure({"days": 90, "names": ["a"]})
    # The job of a run has its id, and nothing else.
    done: list[uuid.UUID] = []

    def act(slice_: Slice) -> None:
        done.append(slice_.run.pk)

    slices.do_next(run.pk, {"ops.test": act}, wake=lambda *_: None)
    assert done == [run.pk]
    # Without an id: the order of members doesn't count, and neither does anything undeclared.
    same = {"names": ["a"], "days": 90}
    again, created = ledger.ensure_workspace_run_with_identity(
        "ops.test", same, initiator="bob", reason="again", context={"payload": "secret"}
    )
    assert (again.pk, created) == (run.pk, False)
    assert ensure({"days": 30, "names": ["a"]}).pk != run.pk
    assert ledger.identity("t", same, namespace=None) != ledger.identity("t", same, namespace="eu")
    assert ledger.identity("t", same, namespace=None) != ledger.identity("u", same, namespace=None)


@pytest.mark.usefixtures("committed")
def test_decision_3_a_job_that_is_not_the_canonical_run_ends_at_once_as_skipped(
    server: Server, committed: str
) -> None:
    run, calls = ensure({}), []

    def act(slice_: Slice) -> None:
        calls.append(slice_.run.pk)
        ledger.complete(slice_.run, Outcome.SUCCEEDED, {"total": 1}, progress={})

    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute("DROP INDEX one_active_run_in_the_workspace")
    doubled = copy_of(run)
    for _ in range(3):  # redelivered
        slices.do_next(doubled.pk, {"ops.test": act}, wake=lambda *_: None)
    doubled.refresh_from_db()
    assert (doubled.status, doubled.outcome, calls) == ("completed", "skipped", [])
    for _ in range(3):
        slices.do_next(run.pk, {"ops.test": act}, wake=lambda *_: None)
    run.refresh_from_db()
    assert (calls, run.outcome, run.summary_counts) == ([run.pk], "succeeded", {"total": 1})


@pytest.mark.usefixtures("committed")
def test_decision_4_the_final_attempt_wins_with_normalised_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, attempts = ensure({}), []

    def act(slice_: Slice) -> None:
        attempts.append(slice_.run.pk)
        counts = {"total": 2, "processed": len(attempts), "apples": 7}
        ledger.complete(slice_.run, Outcome.SUCCEEDED, counts, progress={})
        if len(attempts) < 3:
            raise ZeroDivisionError

    for _ in range(3):
        make_due(run.pk)
        slices.do_next(run.pk, {"ops.test": act}, wake=lambda *_: None)
    run.refresh_from_db()
    assert len(attempts) == 3
    # Retries never add up, and an unknown key never keeps a run from its end.
    assert run.summary_counts == {"total": 2, "processed": 3}
    assert "apples" in caplog.text


@pytest.mark.django_db
def test_decision_5_housekeeping_is_tracked_by_one_run_of_the_workspace() -> None:
    registry.ensure(["eu", "us"])
    assert adapter_runs.TYPE == "ops.reconcile_adapter_runs"
    run, _ = ledger.ensure_workspace_run_with_identity(adapter_runs.TYPE, {}, initiator="orbit")
    slices.do_next(run.pk, {run.type: adapter_runs.run_slice}, wake=lambda *_: None)
    [row] = OperationRun.objects.all()
    assert (row.namespace_id, row.scope, row.outcome) == (None, None, "succeeded")


@pytest.mark.django_db
def test_decision_6_the_external_id_of_the_seed_namespace_is_a_uuid_of_version_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed = Namespace.objects.get(name="default").external_id
    assert (seed.version, seed.variant) == (4, uuid.RFC_4122)
    # Whatever the environment says, and for any other namespace.
    monkeypatch.setenv("INTUNE_TENANT_ID", "contoso")
    registry.ensure(["contoso"])
    other = Namespace.objects.get(name="contoso").external_id
    assert other.version == 4
    assert other != seed
