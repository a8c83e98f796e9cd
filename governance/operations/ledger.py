"""The ledger of background work: how a run starts, makes progress and ends.

Two partial unique indexes let one of any number of equal requests create the run. A run ends by one
compare-and-set: the first end counts.
"""

import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from governance.access.actors import Actor, NamespaceUnknown
from governance.kernel import sql
from governance.kernel.canonical import canonical_json, sha256_hex
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.identifiers import uuid7
from governance.models import Namespace, OperationRun
from governance.states import OPERATION, OPERATION_ACTIVE, Operation, Outcome

log = logging.getLogger(__name__)

#: What the summary of a run may count: a closed list, so that all runs read alike.
COUNTS = ("total", "processed", "succeeded", "failed", "skipped", "created", "updated", "deleted")

_TRIES = 10
_INSERT_RUN = sql.fragment(__name__, "insert_run")
_INSERT_NAMESPACE_RUN = sql.load(__name__, "insert_namespace_run", insert_run=_INSERT_RUN)
_INSERT_WORKSPACE_RUN = sql.load(__name__, "insert_workspace_run", insert_run=_INSERT_RUN)
_SAVE_PROGRESS = sql.load(__name__, "save_progress")


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
    """Return a hash of type, namespace and inputs."""
    # Inputs may be shown as the run's context, so they hold no secret and no payload.
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
    """Return the active run of that type and inputs; and True if it is new.

    The caller wakes its first slice in the same transaction. Raises NamespaceUnknown, LedgerBusy.
    """
    row = Namespace.objects.filter(name=namespace).first()
    if row is None:
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    return _ensure(
        identity(type_, inputs, namespace=namespace),
        type_,
        row,
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
    """Return the active run of the workspace; and True if it is new. Raises LedgerBusy."""
    namespaces = None if scope is None else sorted(scope)
    return _ensure(
        identity(type_, {**inputs, "scope": namespaces}, namespace=None),
        type_,
        None,
        namespaces,
        dict(inputs if context is None else context),
        initiator,
        reason,
    )


def _ensure(
    identity_hash: str,
    type_: str,
    namespace: Namespace | None,
    scope: list[str] | None,
    context: dict[str, Any],
    initiator: str,
    reason: str,
) -> tuple[OperationRun, bool]:
    run_id = uuid7()
    insert = _INSERT_WORKSPACE_RUN if namespace is None else _INSERT_NAMESPACE_RUN
    active = OperationRun.objects.filter(
        namespace=namespace, type=type_, identity_hash=identity_hash, status__in=OPERATION_ACTIVE
    )
    # The active run may end between the insert that it refused and the read.
    for _ in range(_TRIES):
        inserted = insert.one(
            id=run_id,
            namespace_id=None if namespace is None else namespace.pk,
            scope=scope,
            type=type_,
            identity=identity_hash,
            context=json.dumps(context),
            initiator=initiator,
            reason=reason,
        )
        made = inserted is not None
        run = OperationRun.objects.filter(pk=run_id).first() if made else active.first()
        if run is not None:
            return run, made
    raise LedgerBusy


def visible(actor: Actor, *, of: str = "") -> Q:
    """Return the condition for runs whose namespaces ``actor`` sees, all of them.

    ``of`` is the lookup of the run, such as ``run__``.
    """
    if actor.namespaces is None:
        return Q()
    # A scope of null means all namespaces and is contained in no list.
    return Q(**{f"{of}scope__contained_by": sorted(actor.namespaces)})


def find(run_id: UUID, *, actor: Actor) -> OperationRun:
    """Return the run. Raises OperationUnknown, also for one that ``actor`` doesn't see."""
    run = OperationRun.objects.select_related("namespace").filter(visible(actor), pk=run_id).first()
    if run is None:
        raise OperationUnknown(f"There is no operation run {run_id}.")
    return run


def to_dict(run: OperationRun) -> dict[str, Any]:
    """Return ``run`` as the API and the commands show it."""
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


def save_progress(
    run: OperationRun, progress: Mapping[str, Any], *, wait: float
) -> datetime | None:
    """Save ``progress``; return when the next slice is due, None if the run has ended."""
    row = _SAVE_PROGRESS.one(id=run.pk, progress=json.dumps(progress), wait=wait)
    return None if row is None else row[0]


def complete(
    run: OperationRun,
    outcome: Outcome,
    summary: Mapping[str, Any],
    *,
    progress: Mapping[str, Any],
    **columns: Any,
) -> bool:
    """End ``run`` with ``outcome``. Return False if it had ended already."""
    return bool(
        OPERATION.move(
            OperationRun.objects.filter(pk=run.pk),
            Operation.COMPLETED,
            outcome=str(outcome),
            # Replaces the counts of earlier attempts.
            summary_counts=_known_counts(summary, about=f"{run.type} {run.pk}"),
            progress=dict(progress),
            finished_at=Now(),
            next_due_at=None,
            **columns,
        )
    )


def counts_in(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a run's ``progress``, without its notes."""
    return {key: progress[key] for key in COUNTS if key in progress}


def _known_counts(summary: Mapping[str, Any], *, about: str) -> dict[str, int]:
    counts = {
        key: summary[key]
        for key in COUNTS
        if isinstance(summary.get(key), int)
        and not isinstance(summary[key], bool)
        and summary[key] >= 0
    }
    # Dropped, not refused: a run must always be able to end.
    dropped = sorted(str(key) for key in summary if key not in counts)
    if dropped:
        log.warning(
            "Dropped from the summary of %s, because summaries don't count it: %s.",
            about,
            ", ".join(dropped),
        )
    return counts
