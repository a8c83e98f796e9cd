"""What every slice of a bulk run over dead letters does: take the next letters, lock them, audit what it did.

A slice locks its letters before it decides, so what it decides holds. Letters of a halted namespace are left for later slices. Each of
these is one statement, for one letter and for a thousand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection

from governance import audit
from governance.audit.actions import Action
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations import items, ledger
from governance.operations.items import Settled
from governance.states import ItemOutcome
from orbit.states import Letter

# What one slice does well within its second.
MOST = 500
STOPPED_SECONDS = 2.0
_NAMED = 5
_RESOLVED = {
    Letter.REQUEUED: "already requeued",
    Letter.DISMISSED: "already dismissed",
    Letter.DELIVERED_LATE: "delivered late already",
}

# A letter that isn't of the run's namespaces is no letter for it, whatever stops there.
_OPEN_ITEMS = """FROM governance_operationrunitem i
LEFT JOIN orbit_deadletterdispatch l ON l.id = i.object_id AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s AND i.outcome IS NULL"""
NEXT = f"SELECT i.object_id {_OPEN_ITEMS} AND {gate.OPEN_SQL.format(namespace='l.namespace')} ORDER BY i.object_id LIMIT %(limit)s"
STOPPED = f"SELECT DISTINCT l.namespace {_OPEN_ITEMS} AND l.namespace IS NOT NULL ORDER BY l.namespace LIMIT %(limit)s"
LOCK = """SELECT l.id, l.status, l.namespace, l.endpoint_key FROM orbit_deadletterdispatch l
WHERE l.id = ANY(%(ids)s::uuid[]) AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[])) ORDER BY l.id FOR NO KEY UPDATE"""


@dataclass(frozen=True, slots=True)
class Found:
    """A letter as it is while this slice holds it."""

    id: UUID
    status: str
    namespace: str
    endpoint_key: str


def take(run: OperationRun, limit: int) -> list[UUID]:
    """Return the next letters whose turn it is, oldest first; none where all that are left are stopped, or none is left."""
    if gate.paused_here():
        return []
    with connection.cursor() as cursor:
        cursor.execute(NEXT, {"run": run.pk, "scope": run.scope, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def lock(run: OperationRun, letters: Sequence[UUID]) -> tuple[list[Found], list[Settled]]:
    """Hold ``letters`` until the slice commits; return those that are open, and what became of the others."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"ids": list(letters), "scope": run.scope})
        known = {row[0]: Found(*row) for row in cursor.fetchall()}
    still = [
        known[letter]
        for letter in letters
        if letter in known and known[letter].status == Letter.OPEN
    ]
    settled = [
        Settled(letter, ItemOutcome.SKIPPED, _RESOLVED[Letter(known[letter].status)]) if letter in known
        else Settled(letter, ItemOutcome.FAILED, "there is no such dead letter")
        for letter in letters if letter not in known or known[letter].status != Letter.OPEN
    ]  # fmt: skip
    return still, settled


def record_audit(
    run: OperationRun, action: Action, done: Iterable[tuple[UUID, str]], **choices: Any
) -> None:
    """Put the letters of one slice, given with their namespaces, on the audit trail: one entry for each namespace."""
    for namespace, letters in groupby(sorted(done, key=itemgetter(1)), key=itemgetter(1)):
        ids = [str(letter) for letter, _ in letters]
        audit.record(
            action,
            actor=run.initiator,
            object_type="operation_run",
            object_id=str(run.pk),
            namespace=namespace,
            after={"count": len(ids), "dead_letter_ids": ids, **choices},
            reason=run.reason,
        )


def stopped(run: OperationRun, progress: Mapping[str, Any]) -> datetime | None:
    """Say what stops the letters that are left, and look again a little later; end the run where none is left."""
    if progress["processed"] >= progress["total"]:
        items.end(run, items.outcome(progress), progress)
        return None
    if gate.everything_paused() is not None:
        note = "waiting: everything is paused"
    else:
        with connection.cursor() as cursor:
            cursor.execute(STOPPED, {"run": run.pk, "scope": run.scope, "limit": _NAMED + 1})
            names = [row[0] for row in cursor.fetchall()]
        note = f"waiting: halted is {', '.join(names[:_NAMED])}{' and more' if len(names) > _NAMED else ''}"
    return ledger.progress(run, {**progress, "note": note}, wait=STOPPED_SECONDS)
