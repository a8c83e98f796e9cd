"""Stage 1: the cycle's context becomes an initiation, made once per dedupe hash and reused after."""

import time
from uuid import UUID

from governance.kernel.identifiers import uuid7_text
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "initiation"

# DO UPDATE rather than DO NOTHING: it returns the row that is there, whoever made it, and waits for one that is being made. xmax is 0
# only on a row that this very statement inserted.
CTES = (
    """initiation AS (
    INSERT INTO orbit_initiation (id, initiation_hash, namespace, profile_id, run_profile_id, instruction_id)
    SELECT x.id, x.initiation_hash, x.namespace, x.profile_id, x.run_profile_id, x.instruction_id
    FROM json_to_recordset(%(initiations)s::json)
        AS x(cycle_id uuid, id uuid, initiation_hash text, namespace text, profile_id text, run_profile_id text, instruction_id text)
    JOIN locked ON locked.id = x.cycle_id
    ON CONFLICT (initiation_hash) DO UPDATE SET initiation_hash = EXCLUDED.initiation_hash
    RETURNING id, initiation_hash, xmax = 0 AS made),
found AS (
    SELECT x.cycle_id, x.record_id, x.namespace, x.initiation_hash, i.id, i.made FROM initiation i
    JOIN json_to_recordset(%(initiations)s::json) AS x(cycle_id uuid, record_id uuid, namespace text, initiation_hash text) USING (initiation_hash)),
reuse AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, namespace, message, data)
    SELECT record_id, cycle_id, cycle_id, 'initiation', CASE WHEN made THEN 'initiation_created' ELSE 'initiation_reused' END, namespace,
        CASE WHEN made THEN 'a new context' ELSE 'the context is known' END,
        jsonb_build_object('initiation_id', id, 'initiation_hash', initiation_hash)
    FROM found)""",
)

SELECT = "SELECT locked.id, found.id FROM locked JOIN found ON found.cycle_id = locked.id"

SQL = fence.statement(*CTES, select=SELECT)


def run(work: ClaimedCycle) -> UUID:
    """Initiate ``work`` and return the initiation's id. Raises Fenced. After a crash the stage has its checkpoint, or left nothing."""
    write = fence.FencedWrite(work, SQL)
    draft(write)
    return commit(write)


def commit(write: fence.FencedWrite) -> UUID:
    """Make ``write``, whose statement selects ``SELECT``, durable; return the initiation's id. Raises Fenced."""
    ((_, initiation_id),) = fence.commit(write)
    return UUID(str(initiation_id))


def draft(write: fence.FencedWrite) -> None:
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
