"""The ledger of background work: how a run comes to be, and how it ends.

Whoever wants work done asks for a run by its identity, and gets the active one where there is one. Two partial unique indexes over
active runs decide that, not a look beforehand: of any number that ask at once, one makes the run. A run ends by one compare-and-set,
so the first end stands, and its counts are those of the attempt that ended it.
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from governance.access.actors import Actor, NamespaceUnknown
from governance.kernel.canonical import canonical_json, sha256_hex
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.identifiers import uuid7
from governance.models import Namespace, OperationRun
from governance.operations import counts
from governance.states import OPERATION, OPERATION_ACTIVE, Operation, Outcome

_TRIES = 10

INSERT = """INSERT INTO governance_operationrun (id, namespace_id, scope, type, identity_hash, status, context, initiator, reason, next_due_at)
VALUES (%(id)s, %(namespace_id)s, %(scope)s, %(type)s, %(identity)s, 'queued', %(context)s::jsonb, %(initiator)s, %(reason)s, clock_timestamp())
ON CONFLICT DO NOTHING RETURNING id"""
PROGRESS = """UPDATE governance_operationrun SET progress = %(progress)s::jsonb, faults = 0,
    next_due_at = clock_timestamp() + %(wait)s * interval '1 second'
WHERE id = %(id)s AND status IN ('queued', 'running') RETURNING next_due_at"""


class OperationUnknown(OrbitError):
    """There is no such operation run."""

    code, kind = "unknown_operation", Kind.MISSING


class OperationFinished(OrbitError):
    """This operation run has ended."""

    code, kind = "finished", Kind.CONFLICT


class LedgerBusy(OrbitError):
    """Runs of this identity end as fast as they start. Try again."""

    code, kind = "operation_busy", Kind.UNAVAILABLE


def identity(type_: str, inputs: Mapping[str, Any], *, namespace: str | None) -> str:
    """Return the name of a run: equal for equal type, namespace and declared inputs, which hold no secret and no payload."""
    return sha256_hex(
        canonical_json({"namespace": namespace, "type": type_, "inputs": dict(inputs)})
    )


def ensure_run_with_identity(
    namespace: str,
    type_: str,
    inputs: Mapping[str, Any],
    *,
    initiator: str,
    reason: str = "",
    context: Mapping[str, Any] | None = None,
) -> tuple[OperationRun, bool]:
    """Return the active run in ``namespace`` of that type and inputs, and whether this call made it.

    ``context`` is what the run is told beside what makes its identity; left out it is the inputs. The caller has its first slice woken, in
    the same transaction. Raises NamespaceUnknown, and LedgerBusy when the active run ended each time before it could be read.
    """
    found = Namespace.objects.filter(name=namespace).first()
    if found is None:
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    name = identity(type_, inputs, namespace=namespace)
    return _ensure(
        name,
        type_,
        found,
        [namespace],
        dict(inputs if context is None else context),
        initiator,
        reason,
    )


def ensure_workspace_run_with_identity(
    type_: str,
    inputs: Mapping[str, Any],
    *,
    initiator: str,
    reason: str = "",
    context: Mapping[str, Any] | None = None,
    scope: Collection[str] | None = None,
) -> tuple[OperationRun, bool]:
    """Return the active run of the workspace of that type and inputs, and whether this call made it; else as its sibling.

    ``scope`` are the namespaces that it touches, where that isn't all of them: whoever is confined to others doesn't see it.
    """
    kept = None if scope is None else sorted(scope)
    name = identity(type_, {**inputs, "scope": kept}, namespace=None)
    return _ensure(
        name, type_, None, kept, dict(inputs if context is None else context), initiator, reason
    )


def _ensure(
    name: str,
    type_: str,
    namespace: Namespace | None,
    scope: list[str] | None,
    context: dict[str, Any],
    initiator: str,
    reason: str,
) -> tuple[OperationRun, bool]:
    run_id = uuid7()
    values = {
        "id": run_id,
        "namespace_id": None if namespace is None else namespace.pk,
        "scope": scope,
        "type": type_,
        "identity": name,
        "context": json.dumps(context),
        "initiator": initiator,
        "reason": reason,
    }
    active = OperationRun.objects.filter(
        namespace=namespace, type=type_, identity_hash=name, status__in=OPERATION_ACTIVE
    )
    for _ in range(_TRIES):
        # It waits for another one's transaction that makes the same run, and finds it committed, or makes it in its place.
        with connection.cursor() as cursor:
            cursor.execute(INSERT, values)
            made = cursor.fetchone() is not None
        found = OperationRun.objects.filter(pk=run_id).first() if made else active.first()
        if found is not None:
            return found, made
    raise LedgerBusy


def visible(actor: Actor) -> Q:
    """Return the condition that keeps a queryset of runs to those that ``actor`` sees: whose every namespace it sees."""
    return Q() if actor.namespaces is None else Q(scope__contained_by=sorted(actor.namespaces))


def find(run_id: UUID, *, actor: Actor) -> OperationRun:
    """Return the run; raises OperationUnknown, also for one that ``actor`` doesn't see."""
    run = OperationRun.objects.select_related("namespace").filter(visible(actor), pk=run_id).first()
    if run is None:
        raise OperationUnknown(f"There is no operation run {run_id}.")
    return run


def described(run: OperationRun) -> dict[str, Any]:
    """Return ``run`` as answers and commands show it."""
    return {
        "id": run.pk,
        "type": run.type,
        "namespace": None if run.namespace is None else run.namespace.name,
        "status": run.status,
        "outcome": run.outcome,
        "summary_counts": run.summary_counts,
        "progress": run.progress,
        "context": run.context,
        "initiator": run.initiator,
        "reason": run.reason,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "next_due_at": run.next_due_at,
        "cancel_requested_at": run.cancel_requested_at,
        "cancel_requested_by": run.cancel_requested_by,
    }


def progress(run: OperationRun, found: Mapping[str, Any], *, wait: float) -> datetime | None:
    """Keep how far ``run`` is, and make its next slice due in ``wait`` seconds; return that moment, None where the run has ended."""
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, {"id": run.pk, "progress": json.dumps(found), "wait": wait})
        row = cursor.fetchone()
    return row[0] if row else None


def complete(
    run: OperationRun,
    outcome: Outcome,
    summary: Mapping[str, Any],
    *,
    progress: Mapping[str, Any],
    **columns: Any,
) -> bool:
    """End ``run`` with ``outcome``; return False where it had ended already. ``summary`` replaces what earlier attempts may have counted."""
    return bool(
        OPERATION.move(
            OperationRun.objects.filter(pk=run.pk),
            Operation.COMPLETED,
            outcome=str(outcome),
            summary_counts=counts.normalised(summary, about=f"{run.type} {run.pk}"),
            progress=dict(progress),
            finished_at=Now(),
            next_due_at=None,
            **columns,
        )
    )
