"""Claims: a worker takes tasks for a time, its lease, and renews it while it works.

A claim gives each task a new token. Everything that the worker then does names it, and does nothing
once the lease is over: another worker may have the task (`fenced`).

What can still go wrong: a worker that is suspended goes on after its lease is over, until its next
call. The outcome of that work is refused; what it did elsewhere isn't undone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import sql
from governance.namespaces import gate
from orbit.conductor.task_events import EVENTS
from orbit.errors import ConductorRunUnknown
from orbit.models import ConductorRun
from orbit.records import pruned

MAX_LIMIT = 1_000
MAX_LEASE_SECONDS = 3_600
#: Of a claim that doesn't say.
LEASE_SECONDS = 30
#: The inputs of one claim, together, in bytes; one task is given in any case.
_LARGEST = 8 * 1024 * 1024
#: Statements of one claim at most.
_MAX_ROUNDS = 20
#: Tasks that a claim looks at in a round after it met some whose run or parent was cancelled: it
#: cancels those and isn't held up by a large cancelled tree.
_LOOKED_AT = 1_000
#: Expired leases that one claim ends at most.
_EXPIRED_BATCH = 1_000

_COLUMNS = "t.id, t.run_id, t.parent_id, t.index, t.priority, t.state, t.started_at, t.input"
_CLAIM_PICKED = sql.fragment(
    __name__,
    "claim_picked",
    events=EVENTS,
    child_input=sql.fragment(__name__, "child_input"),
)


def _picked(name: str) -> sql.Fragment:
    return sql.fragment(__name__, name, columns=_COLUMNS, gate_lets_start=gate.STARTS)


CLAIM = sql.load(
    __name__,
    "claim",
    picked_fairly=_picked("picked_fairly"),
    claim_picked=_CLAIM_PICKED,
)
CLAIM_IN_RUN = sql.load(
    __name__,
    "claim_in_run",
    picked_in_run=_picked("picked_in_run"),
    claim_picked=_CLAIM_PICKED,
)
EXPIRE = sql.load(__name__, "expire_leases")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a worker now holds. ``input`` is JSON text."""

    id: str
    run_id: str
    name: str
    namespace: str
    priority: int
    attempt: int
    input: str
    lease_token: UUID
    lease_expires_at: datetime


def claim(
    actor: Actor,
    worker: str,
    limit: int = 1,
    lease_seconds: int = LEASE_SECONDS,
    run_id: str | None = None,
) -> list[Claimed]:
    """Take up to ``limit`` ready tasks, those of higher priority first; never the same twice.

    Tasks whose lease has expired are ready. Raises ConductorRunUnknown.
    """
    actor.require(Scope.OPERATE)
    if run_id is not None and not ConductorRun.objects.filter(actor.filter(), pk=run_id).exists():
        raise ConductorRunUnknown(pruned.unknown("conductor run", run_id))
    claimed: list[Claimed] = []
    if gate.paused_here():
        return claimed
    dropped = 0
    for _ in range(_MAX_ROUNDS):
        give = limit - len(claimed)
        values = {
            "worker": worker,
            "lease_seconds": lease_seconds,
            "most": max(give, _LOOKED_AT) if dropped else give,
            "give": give,
        }
        rows = _claim(actor, run_id, values)
        claimed += [Claimed(*row[2:]) for row in rows if row[2] is not None]
        dropped, has_expired = rows[0][:2]
        expired = expire(_EXPIRED_BATCH) if has_expired else []
        if len(claimed) >= limit or not (dropped or expired):
            break
    return claimed


def expire(limit: int) -> list[str]:
    """Make up to ``limit`` tasks with an expired lease ready; return the namespace of each."""
    return [namespace for (namespace,) in EXPIRE.send(most=limit)]


def _claim(actor: Actor, run_id: str | None, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    values |= {"largest": _LARGEST}
    if run_id is not None:
        return CLAIM_IN_RUN.send(run_id=run_id, **values)
    namespaces = None if actor.namespaces is None else sorted(actor.namespaces)
    return CLAIM.send(namespaces=namespaces, **values)
