"""What every slice of a bulk run over dead letters does: take the next letters, lock them, keep what became of each, end the run.

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

from governance.audit import trail
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations import counts, ledger
from governance.operations.guard import Slice
from governance.states import ItemOutcome, Outcome
from orbit.states import Letter

SECONDS = 1.0
# What one slice does well within its second.
MOST = 500
STOPPED_SECONDS = 2.0
_NAMED = 5
_RESOLVED = {Letter.REQUEUED: "already requeued", Letter.DISMISSED: "already dismissed", Letter.DELIVERED_LATE: "delivered late already"}

# A letter that isn't of the run's namespaces is no letter for it, whatever stops there.
_OPEN_ITEMS = """FROM governance_operationrunitem i
LEFT JOIN orbit_deadletterdispatch l ON l.id = i.object_id AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s AND i.outcome IS NULL"""
NEXT = f"SELECT i.object_id {_OPEN_ITEMS} AND {gate.OPEN_SQL.format(namespace='l.namespace')} ORDER BY i.object_id LIMIT %(limit)s"
STOPPED = f"SELECT DISTINCT l.namespace {_OPEN_ITEMS} AND l.namespace IS NOT NULL ORDER BY l.namespace LIMIT %(limit)s"
LOCK = """SELECT l.id, l.status, l.namespace, l.endpoint_key FROM orbit_deadletterdispatch l
WHERE l.id = ANY(%(ids)s::uuid[]) AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[])) ORDER BY l.id FOR NO KEY UPDATE"""
SETTLE = """UPDATE governance_operationrunitem i SET outcome = x.outcome, detail = left(x.detail, 300)
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(details)s::text[]) AS x(id, outcome, detail)
WHERE i.run_id = %(run)s AND i.object_id = x.id"""


@dataclass(frozen=True, slots=True)
class Found:
    """A letter as it is while this slice holds it."""

    id: UUID
    status: str
    namespace: str
    endpoint_key: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one letter."""

    id: UUID
    outcome: ItemOutcome
    detail: str = ""


def room(slice_: Slice) -> int:
    """Return how many letters this slice may take: the run's rate, and a second's worth more at most where it comes late."""
    return max(1, min(MOST, int(slice_.run.context["rate"] * (SECONDS + min(slice_.late, SECONDS)))))


def fresh(run: OperationRun) -> dict[str, Any]:
    """Return the run's progress without the note of what it waited for; that it took the oldest of too many stays."""
    return {key: value for key, value in run.progress.items() if key != "note" or run.progress.get("more")}


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
    still = [known[letter] for letter in letters if letter in known and known[letter].status == Letter.OPEN]
    settled = [
        Settled(letter, ItemOutcome.SKIPPED, _RESOLVED[Letter(known[letter].status)]) if letter in known
        else Settled(letter, ItemOutcome.FAILED, "there is no such dead letter")
        for letter in letters if letter not in known or known[letter].status != Letter.OPEN
    ]  # fmt: skip
    return still, settled


def settle(run: OperationRun, settled: Sequence[Settled], progress: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what became of letters; return ``progress`` with them counted."""
    ids, outcomes, details = [item.id for item in settled], [str(item.outcome) for item in settled], [item.detail for item in settled]
    with connection.cursor() as cursor:
        cursor.execute(SETTLE, {"run": run.pk, "ids": ids, "outcomes": outcomes, "details": details})
    counted = {key: progress[key] + outcomes.count(key) for key in ("succeeded", "failed", "skipped")}
    return {**progress, **counted, "processed": progress["processed"] + len(settled)}


def audit(run: OperationRun, action: str, done: Iterable[tuple[UUID, str]], **choices: Any) -> None:
    """Put the letters of one slice, given with their namespaces, on the audit trail: one entry for each namespace."""
    for namespace, letters in groupby(sorted(done, key=itemgetter(1)), key=itemgetter(1)):
        ids = [str(letter) for letter, _ in letters]
        trail.record(
            action,
            actor=run.initiator,
            object_type="operation_run",
            object_id=str(run.pk),
            namespace=namespace,
            after={"count": len(ids), "dead_letter_ids": ids, **choices},
            reason=run.reason,
        )


def go_on(run: OperationRun, progress: Mapping[str, Any]) -> datetime | None:
    """Keep how far the run is; return when its next slice is due, or None where all letters are done and it has ended."""
    if progress["processed"] < progress["total"]:
        return ledger.progress(run, progress, wait=SECONDS)
    end(run, outcome(progress), progress)
    return None


def stopped(run: OperationRun, progress: Mapping[str, Any]) -> datetime | None:
    """Say what stops the letters that are left, and look again a little later; end the run where none is left."""
    if progress["processed"] >= progress["total"]:
        end(run, outcome(progress), progress)
        return None
    if gate.everything_paused() is not None:
        note = "waiting: everything is paused"
    else:
        with connection.cursor() as cursor:
            cursor.execute(STOPPED, {"run": run.pk, "scope": run.scope, "limit": _NAMED + 1})
            names = [row[0] for row in cursor.fetchall()]
        note = f"waiting: halted is {', '.join(names[:_NAMED])}{' and more' if len(names) > _NAMED else ''}"
    return ledger.progress(run, {**progress, "note": note}, wait=STOPPED_SECONDS)


def outcome(progress: Mapping[str, Any]) -> Outcome:
    """Return how a run ended that went through all its letters. Letters that others had resolved are no failure."""
    if progress["succeeded"]:
        return Outcome.PARTIALLY_SUCCEEDED if progress["failed"] else Outcome.SUCCEEDED
    return Outcome.FAILED if progress["failed"] else Outcome.SKIPPED


def end(run: OperationRun, outcome: Outcome, progress: Mapping[str, Any]) -> None:
    """End the run."""
    ledger.complete(run, outcome, counts.of(progress), progress=progress)
