"""Stage 3: the outputs of the successful tiers become the items that are delivered, each pointing at its transformation."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from governance.kernel import sql
from governance.kernel.canonical import sha256_hex
from governance.kernel.identifiers import uuid7
from orbit.pipeline import registry
from orbit.pipeline.contract import Payload
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record, clean
from orbit.records.fence import ClaimedCycle
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "normalization"

#: The stage's CTEs; they need ``locked``.
NORMALIZATION = sql.fragment(__name__, "normalization")

# For statements that are not in a file yet.
CTES = (NORMALIZATION.text,)


@dataclass(frozen=True, slots=True)
class Source:
    """The output of one successful tier."""

    transformation_id: UUID
    payload: Payload


def add_to(write: fence.FencedWrite, sources: Iterable[Source], *, reused: int = 0) -> list[UUID]:
    """Put the stage into ``write``, whose statement has ``CTES``; return the items' ids. ``reused`` items a re-run has of earlier cycles.

    A processor that fails on one output costs that item, never the others: the stage is then not ok and says so.
    """
    work: ClaimedCycle = write.work
    began = time.monotonic()
    name = (
        work.context.get("execution_rules", {})
        .get("normalizer", {})
        .get("processor", "passthrough")
    )
    batch_id, made, errors = uuid7(), list[UUID](), list[str]()
    write.rows["items"] = []
    write.records.append(Record(STAGE, "stage_started"))
    records: list[Record] = []
    for source in sources:
        try:
            payload = registry.processor(name).run(source.payload)
        except Exception as exc:  # a processor of another package may raise anything
            errors.append(clean(f"{type(exc).__name__}: {exc}"))
            records.append(
                Record(
                    STAGE,
                    "item_failed",
                    errors[-1],
                    "error",
                    {"transformation_id": str(source.transformation_id)},
                )
            )
            continue
        item_id = uuid7()
        made.append(item_id)
        digest = sha256_hex(payload.body)
        write.rows["items"].append(
            {
                "id": str(item_id),
                "cycle_id": str(work.id),
                "batch_id": str(batch_id),
                "transformation_id": str(source.transformation_id),
                "blob": write.blob(payload.body),
                "content_type": payload.content_type,
                "sha256": digest,
            }
        )
        data = {
            "item_id": str(item_id),
            "transformation_id": str(source.transformation_id),
            "sha256": digest,
            "bytes": len(payload.body),
        }
        records.append(Record(STAGE, "item_created", data=data))
    write.rows["batches"] = [
        {"id": str(batch_id), "cycle_id": str(work.id), "processor": name, "item_count": len(made)}
    ]
    write.records.append(
        Record(
            STAGE,
            "batch_created",
            data={"batch_id": str(batch_id), "processor": name, "items": len(made)},
        )
    )
    write.records += records
    if not made and not reused:
        write.records.append(
            Record(STAGE, "no_items", "no successful tier: nothing to normalize", "warning")
        )
    duration = (time.monotonic() - began) * 1000
    ok = bool(made or reused) and not errors
    message = f"{len(errors)} of {len(made) + len(errors)} failed" if errors else ""
    data = {
        "ok": ok,
        "items": len(made),
        "duration_ms": round(duration, 3),
        **({"items_taken_over": reused} if reused else {}),
    }
    write.records.append(
        Record(STAGE, "stage_finished", message, "info" if ok else "warning", data)
    )
    write.events.append(
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": ok})
    )
    write.checkpoints.append(Checkpoint.NORMALIZATION_COMPLETE)
    return made
