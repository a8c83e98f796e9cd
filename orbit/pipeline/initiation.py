"""Stage 1: the cycle's context becomes an initiation, made once per dedupe hash and reused after."""

import time
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7_text
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "initiation"

#: The stage's CTEs; they need ``locked`` and give ``initiated``.
INITIATION = sql.fragment(__name__, "initiation")

# For statements that are not in a file yet.
CTES = (INITIATION.text,)
SELECT = (
    "SELECT locked.id, initiated.id FROM locked JOIN initiated ON initiated.cycle_id = locked.id"
)

SQL = fence.statement(*CTES, select=SELECT)


def run(work: ClaimedCycle) -> UUID:
    """Initiate ``work`` and return the initiation's id. Raises Fenced. After a crash the stage has its checkpoint, or left nothing."""
    write = fence.FencedWrite(work, SQL)
    add_to(write)
    return commit(write)


def commit(write: fence.FencedWrite) -> UUID:
    """Make ``write``, whose statement selects ``SELECT``, durable; return the initiation's id. Raises Fenced."""
    ((_, initiation_id),) = fence.commit(write)
    return UUID(str(initiation_id))


def add_to(write: fence.FencedWrite) -> None:
    """Put the stage into ``write``, whose statement has ``CTES``."""
    work: ClaimedCycle = write.work
    began = time.monotonic()
    write.records += [
        Record("cycle", "cycle_started", data={"token": work.token}),
        Record(STAGE, "stage_started"),
    ]
    write.rows["initiations"] = [
        {
            "cycle_id": str(work.id),
            "id": uuid7_text(),
            "record_id": uuid7_text(),
            "initiation_hash": work.initiation_hash,
            "namespace": work.namespace,
            "profile_id": work.profile_id,
            "run_profile_id": work.run_profile_id,
            "instruction_id": work.instruction_id,
        }
    ]
    write.checkpoints += [Checkpoint.CYCLE_STARTED, Checkpoint.INITIATION_COMPLETE]
    duration = (time.monotonic() - began) * 1000
    write.records.append(
        Record(STAGE, "stage_finished", data={"ok": True, "duration_ms": round(duration, 3)})
    )
    write.events += [
        Event(Name.EXECUTION_STARTED, metadata={"run_profile_id": work.run_profile_id}),
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": True}),
    ]
