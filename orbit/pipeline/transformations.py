"""Stage 2: three tiers, each on the cycle's input, each on its own.

A tier is retried with back-off, then it has succeeded or failed; one tier's failure never stops another. Waiting for a retry holds no
worker: the tier's row says when it is due. Tiers that wait for nothing outside are written together, a slow one by itself, as soon as it
ends; those of a cycle that has only quick ones in one statement with the stages beside them. A tier may run again after a crash until its
checkpoint is written; its transformation id stays the same, so that a receiver knows the repetition by its Idempotency-Key.
"""

import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from governance.kernel import backoff, sql
from governance.kernel.canonical import sha256_hex
from governance.kernel.errors import OrbitError
from orbit import interrupts
from orbit.pipeline import registry
from orbit.pipeline.contract import Context, Payload, TransformError
from orbit.records import fence
from orbit.records.checkpoints import TIERS
from orbit.records.execution import Record, clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Tier
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "transformations"
BACKOFF_CAP = 60.0
# How much longer than its own time-out an attempt may take before its lane counts as hung.
GRACE_SECONDS = 10

#: The stage's CTE. Its arguments are ``x.initiation_id, locked, locked.id`` if the cycle was initiated
#: before, ``initiated.id, initiated, initiated.cycle_id`` if the statement initiates it.
WRITE_TIERS = sql.fragment(__name__, "tiers")

# For statements that are not in a file yet.
CTES = (WRITE_TIERS.render("tiers", ["x.initiation_id", "locked", "locked.id"]),)
CTES_WITH_INITIATION = (
    WRITE_TIERS.render("tiers", ["initiated.id", "initiated", "initiated.cycle_id"]),
)
SQL = fence.statement(*CTES)


@dataclass(slots=True)
class TierResult:
    """What is known of one tier. ``ok`` is None until it has ended; ``wait`` the seconds until its next attempt.

    ``payload`` is its output where that is at hand. A re-run has a tier ``reused`` from an earlier cycle.
    """

    tier: int
    transformation_id: UUID
    ok: bool | None = None
    payload: Payload | None = None
    attempts: int = 0
    error: str = ""
    wait: float = 0.0
    sha256: str = ""
    reused: bool = False

    def summary(self) -> dict[str, Any]:
        """Return it as data for the record and the cycle's page."""
        return {
            "tier": self.tier,
            "ok": self.ok,
            "transformation_id": str(self.transformation_id),
            "payload_sha256": self.sha256 or None,
            "attempts": self.attempts,
            "error": self.error,
        }


@dataclass(slots=True)
class _Stage:
    work: ClaimedCycle
    initiation_id: UUID | None
    results: dict[int, TierResult]
    began: float = field(default_factory=time.monotonic)
    write: fence.FencedWrite | None = None

    def draft(self) -> fence.FencedWrite:
        if self.write is None:
            self.write = fence.FencedWrite(self.work, SQL, rows={"tiers": []})
        return self.write

    def flush(self) -> None:
        if self.write is not None:
            fence.commit(self.write)
            self.write = None


def transformation_id(cycle_id: UUID, tier: int) -> UUID:
    """Return the id of a cycle's tier: the same after every crash, and near the cycle's own in the index (a UUIDv7 of the same moment)."""
    digest = int.from_bytes(hashlib.sha256(cycle_id.bytes + bytes([tier])).digest()[:10], "big")
    moment = cycle_id.int >> 80
    return uuid.UUID(
        int=moment << 80
        | 0x7 << 76
        | (digest >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | digest & ((1 << 62) - 1)
    )


def quick(work: ClaimedCycle, results: Mapping[int, TierResult]) -> bool:
    """Tell whether no tier of ``work`` that is still to run waits for anything outside this process."""
    try:
        return not any(
            registry.transformer(_settings(work, tier)["transformer"]).slow
            for tier in TIERS
            if tier not in results
        )
    except OrbitError:
        return False


def add_to(write: fence.FencedWrite, results: dict[int, TierResult]) -> dict[int, TierResult]:
    """Attempt each tier of a new, quick cycle once and put what became of it into ``write``, whose statement has ``CTES_WITH_INITIATION``.

    ``results`` are of the tiers that a re-run took over.
    """
    stage = _Stage(write.work, None, results, write=write)
    write.rows["tiers"] = []
    _attempt_due(stage)
    return stage.results


def run(
    work: ClaimedCycle, initiation_id: UUID, results: dict[int, TierResult]
) -> dict[int, TierResult]:
    """Bring each tier that is due one attempt further; return what is known of all three.

    ``results`` are those of earlier passes. The stage has ended when every ``ok`` is set; else the smallest ``wait`` says when to go on.
    Raises Fenced, and Stop at a boundary between tiers, with everything that has ended written.
    """
    stage = _Stage(work, initiation_id, results)
    _attempt_due(stage)
    stage.flush()
    return results


def _attempt_due(stage: _Stage) -> None:
    if all(result.reused for result in stage.results.values()):
        stage.draft().records.append(Record(STAGE, "stage_started"))
    for tier in TIERS:
        known = stage.results.setdefault(
            tier, TierResult(tier, transformation_id(stage.work.id, tier))
        )
        if known.ok is None and known.wait <= 0:
            _attempt(stage, known)
    if all(result.ok is not None for result in stage.results.values()):
        _end(stage)


def _settings(work: ClaimedCycle, tier: int) -> dict[str, Any]:
    tiers = work.context.get("execution_rules", {}).get("tiers", {})
    return {
        "transformer": "passthrough",
        "options": {},
        "max_attempts": 3,
        "backoff_base": 1.0,
        "timeout": 30.0,
        **tiers.get(str(tier), {}),
    }


def _input(work: ClaimedCycle) -> Payload:
    assert work.input is not None  # noqa: S101 - read while a tier has not ended
    return Payload(work.input, work.input_content_type)


def _attempt(stage: _Stage, result: TierResult) -> None:
    work, options = stage.work, _settings(stage.work, result.tier)
    context = Context(
        transformation_id=str(result.transformation_id),
        options=options["options"],
        timeout=float(options["timeout"]),
        cycle_id=str(work.id),
        namespace=work.namespace,
        tier=result.tier,
    )
    began, retry = time.monotonic(), True
    result.attempts += 1
    slow = False
    try:
        transformer = registry.transformer(options["transformer"])
        slow = transformer.slow
        if slow:
            stage.flush()
        interrupts.check(leaves=slow)
        interrupts.act(context.timeout + GRACE_SECONDS)
        result.payload = transformer.run(_input(work), context)
        result.ok, result.error = True, ""
    except interrupts.Interrupted:
        stage.flush()
        raise
    except TransformError as exc:
        retry, result.error = exc.retry, clean(exc.detail)
    except Exception as exc:  # a transformer of another package may raise anything: its tier fails, the others go on
        result.error = clean(f"{type(exc).__name__}: {exc}")
    if result.ok is None and (not retry or result.attempts >= int(options["max_attempts"])):
        result.ok = False
    if result.ok is None:
        result.wait = backoff.delay(
            result.attempts, base=float(options["backoff_base"]), cap=BACKOFF_CAP, factor=2
        )
    _draft(stage, result, options["transformer"], time.monotonic() - began)
    if slow:
        stage.flush()


def _draft(stage: _Stage, result: TierResult, transformer: str, took: float) -> None:
    """Put what became of an attempt into the stage's next write."""
    write = stage.draft()
    status = {None: Tier.PENDING, True: Tier.SUCCESS, False: Tier.FAILED}[result.ok]
    payload = result.payload
    result.sha256 = sha256_hex(payload.body) if payload else ""
    write.rows["tiers"].append(
        {
            "id": str(result.transformation_id),
            "cycle_id": str(stage.work.id),
            "initiation_id": str(stage.initiation_id) if stage.initiation_id else None,
            "tier": result.tier,
            "transformer": transformer,
            "status": status,
            "attempts": result.attempts,
            "wait": result.wait if result.ok is None else None,
            "blob": write.blob(payload.body) if payload else None,
            "content_type": payload.content_type if payload else "",
            "sha256": result.sha256,
            "error": result.error,
            "took": took,
        }
    )
    data = {
        "tier": result.tier,
        "attempt": result.attempts,
        "transformer": transformer,
        "duration_ms": round(took * 1000, 3),
    }
    if result.ok:
        write.records += [
            Record(STAGE, "tier_attempt", data=data),
            Record(
                STAGE, "tier_succeeded", data={"tier": result.tier, "attempts": result.attempts}
            ),
        ]
    else:
        write.records.append(Record(STAGE, "tier_attempt", result.error, "warning", data))
    if result.ok is False:
        write.records.append(
            Record(
                STAGE,
                "tier_failed",
                f"tier {result.tier}: {result.error}",
                "error",
                {"tier": result.tier, "attempts": result.attempts},
            )
        )
    elif result.ok is None:
        write.records.append(
            Record(
                STAGE,
                "tier_retry",
                f"tier {result.tier} again in {result.wait:.1f} s",
                "warning",
                {"tier": result.tier},
            )
        )
    if result.ok is not None:
        write.checkpoints.append(TIERS[result.tier])
    level = "info" if result.ok else "warning"
    write.events.append(
        Event(
            Name.TIER_ATTEMPT,
            stage=STAGE,
            level=level,
            duration_ms=took * 1000,
            metadata={"tier": result.tier, "ok": bool(result.ok)},
        )
    )


def _end(stage: _Stage) -> None:
    """Put the stage's end into its last write."""
    results = [stage.results[tier].summary() for tier in TIERS]
    failed = [f"tier {result['tier']}" for result in results if not result["ok"]]
    duration = (time.monotonic() - stage.began) * 1000
    message = f"{len(failed)} of {len(results)} failed: {', '.join(failed)}" if failed else ""
    write = stage.draft()
    write.records.append(
        Record(
            STAGE,
            "stage_finished",
            message,
            "warning" if failed else "info",
            {"ok": not failed, "tiers": results, "duration_ms": round(duration, 3)},
        )
    )
    write.events.append(
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": not failed})
    )
