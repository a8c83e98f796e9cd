"""Stage 3: each successful tier's output becomes an item to deliver."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from orbit.pipeline import registry, rules
from orbit.pipeline.contract import Payload
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record, clean
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "normalization"

#: The stage's CTEs, for the statement of its write. They need ``locked``.
NORMALIZATION = sql.fragment(__name__, "normalization")


@dataclass(frozen=True, slots=True)
class Source:
    """The output of one successful tier."""

    transformation_id: UUID
    payload: Payload


@dataclass(slots=True)
class _Batch:
    """The items of a cycle, and the errors of other outputs."""

    id: UUID
    processor: str
    item_ids: list[UUID] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def add_to(write: fence.FencedWrite, sources: Iterable[Source], *, reused: int = 0) -> list[UUID]:
    """Add the stage to ``write``; return the items' ids.

    ``reused`` counts items that a re-run has from earlier cycles.
    """
    cycle = write.cycle
    began = time.monotonic()
    batch = _Batch(uuid7(), rules.processor_name(cycle.context))
    write.rows["items"] = []
    write.records.append(Record(STAGE, "stage_started"))
    for source in sources:
        _add_item(write, batch, source)
    items = len(batch.item_ids)
    write.rows["batches"] = [
        {
            "id": batch.id,
            "cycle_id": write.cycle.id,
            "processor": batch.processor,
            "item_count": items,
        }
    ]
    created = {"batch_id": batch.id, "processor": batch.processor, "items": items}
    write.records += [Record(STAGE, "batch_created", data=created), *batch.records]
    if not items and not reused:
        message = "no successful tier: nothing to normalize"
        write.records.append(Record(STAGE, "no_items", message, "warning"))
    _finish(write, batch, reused, (time.monotonic() - began) * 1000)
    return batch.item_ids


def _add_item(write: fence.FencedWrite, batch: _Batch, source: Source) -> None:
    try:
        payload = registry.processor(batch.processor).run(source.payload)
    except Exception as exc:
        # Another package's processor may raise anything: only this output gets no item.
        error = clean(f"{type(exc).__name__}: {exc}")
        batch.errors.append(error)
        data = {"transformation_id": source.transformation_id}
        batch.records.append(Record(STAGE, "item_failed", error, "error", data))
        return
    item_id, blob = uuid7(), write.blob(payload.body)
    digest = write.sha256(blob)
    batch.item_ids.append(item_id)
    write.rows["items"].append(
        {
            "id": item_id,
            "cycle_id": write.cycle.id,
            "batch_id": batch.id,
            "transformation_id": source.transformation_id,
            "blob": blob,
            "content_type": payload.content_type,
            "sha256": digest,
        }
    )
    created: dict[str, Any] = {
        "item_id": item_id,
        "transformation_id": source.transformation_id,
        "sha256": digest,
        "bytes": len(payload.body),
    }
    batch.records.append(Record(STAGE, "item_created", data=created))


def _finish(write: fence.FencedWrite, batch: _Batch, reused: int, duration: float) -> None:
    items, failed = len(batch.item_ids), len(batch.errors)
    ok = bool(items or reused) and not failed
    message = f"{failed} of {items + failed} failed" if failed else ""
    data: dict[str, Any] = {"ok": ok, "items": items, "duration_ms": round(duration, 3)}
    if reused:
        data["items_taken_over"] = reused
    level = "info" if ok else "warning"
    write.records.append(Record(STAGE, "stage_finished", message, level, data))
    write.events.append(
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": ok})
    )
    write.checkpoints.append(Checkpoint.NORMALIZATION_COMPLETE)
