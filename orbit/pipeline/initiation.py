"""Stage 1: a cycle's context becomes an initiation, one per hash."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "initiation"
NEXT_STAGE = "transformations"

#: The fragments of a fenced statement that initiates. They give ``initiated``.
FRAGMENTS: dict[str, sql.Fragment] = {
    **fence.FRAGMENTS,
    "initiation": sql.fragment(__name__, "initiation"),
    "records": sql.fragment(__name__, "records_of_initiated"),
}
INITIATE = sql.load(__name__, "initiate", **FRAGMENTS)


def run(cycle: ClaimedCycle) -> UUID:
    """Initiate ``cycle`` and start the next stage; return the initiation's id. Raises Fenced."""
    write = fence.FencedWrite(cycle, INITIATE.text)
    add_to(write)
    # In this write, so that the start is on record once, however often the stage is resumed.
    write.records.append(Record(NEXT_STAGE, "stage_started"))
    return id_of(fence.commit(write))


def id_of(rows: Sequence[tuple[Any, ...]]) -> UUID:
    """Return the initiation's id, of the rows of a write with ``FRAGMENTS``."""
    return UUID(str(rows[0][1]))


def add_to(write: fence.FencedWrite) -> None:
    """Add the stage to ``write``, whose statement has ``FRAGMENTS``."""
    cycle = write.cycle
    began = time.monotonic()
    initiation = {"initiation_id": str(uuid7()), "initiation_hash": cycle.initiation_hash}
    # Records are read in the order of their ids.
    write.records += [
        Record("cycle", "cycle_started", data={"token": cycle.token}),
        Record(STAGE, "stage_started"),
        # The statement changes this one if the context is known. It looks for it here.
        Record(STAGE, "initiation_created", "a new context", data=initiation),
    ]
    write.rows["initiations"] = [
        {
            "cycle_id": str(cycle.id),
            "id": initiation["initiation_id"],
            "initiation_hash": cycle.initiation_hash,
            "namespace": cycle.namespace,
            "profile_id": cycle.profile_id,
            "run_profile_id": cycle.run_profile_id,
            "instruction_id": cycle.instruction_id,
        }
    ]
    write.checkpoints += [Checkpoint.CYCLE_STARTED, Checkpoint.INITIATION_COMPLETE]
    duration = (time.monotonic() - began) * 1000
    data = {"ok": True, "duration_ms": round(duration, 3)}
    write.records.append(Record(STAGE, "stage_finished", data=data))
    write.events += [
        Event(Name.EXECUTION_STARTED, metadata={"run_profile_id": cycle.run_profile_id}),
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": True}),
    ]
