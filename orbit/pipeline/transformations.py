"""Stage 2: three tiers, each on the cycle's input. A failed tier never stops another.

After a crash a tier may run again under the same transformation id, by which a receiver recognizes
the repetition.
"""

import hashlib
import time
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from governance.kernel import backoff, sql
from governance.kernel.errors import OrbitError
from orbit import interrupts
from orbit.pipeline import registry, rules
from orbit.pipeline.contract import Context, Payload, TransformError
from orbit.pipeline.rules import TierRule
from orbit.records import fence
from orbit.records.checkpoints import TIERS
from orbit.records.execution import Record, clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Tier
from orbit.tracing import report, spans
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "transformations"
BACKOFF_CAP = 60.0
#: An attempt may take this much longer than its time-out before its slot counts as hung.
GRACE_SECONDS = 10

_STATUS = {None: Tier.PENDING, True: Tier.SUCCESS, False: Tier.FAILED}

#: The stage's CTE. Its arguments are ``x.initiation_id, locked, locked.id`` if the cycle was
#: initiated before, ``initiated.id, initiated, initiated.cycle_id`` if the statement initiates it.
SAVE_TIERS = sql.fragment(__name__, "tiers")
SAVE = sql.load(__name__, "save_tiers", tiers=SAVE_TIERS, **fence.FRAGMENTS)


@dataclass(slots=True)
class TierResult:
    """The state of one tier."""

    tier: int
    transformation_id: UUID
    ok: bool | None = None  # None until it has ended
    payload: Payload | None = None  # its output, if in memory
    attempts: int = 0
    error: str = ""
    wait: float = 0.0  # seconds until the next attempt
    sha256: str = ""
    reused: bool = False  # a re-run has it from an earlier cycle

    def summary(self) -> dict[str, Any]:
        """Return it for the execution record and the cycle's page."""
        return {
            "tier": self.tier,
            "ok": self.ok,
            "transformation_id": self.transformation_id,
            "payload_sha256": self.sha256 or None,
            "attempts": self.attempts,
            "error": self.error,
        }


@dataclass(slots=True)
class _Stage:
    """A pass through the stage, and the write that collects it."""

    cycle: ClaimedCycle
    initiation_id: UUID | None
    results: dict[int, TierResult]
    began: float = field(default_factory=time.monotonic)
    pending: fence.FencedWrite | None = None
    finished: bool = False

    @property
    def write(self) -> fence.FencedWrite:
        if self.pending is None:
            self.pending = fence.FencedWrite(self.cycle, SAVE.text, rows={"tiers": []})
        return self.pending

    def flush(self) -> None:
        if self.pending is not None:
            fence.commit(self.pending)
            self.pending = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt of a tier that has ended."""

    result: TierResult
    transformer: str
    seconds: float
    #: Why it failed, without what a transformer may quote of the payload.
    reason: str


def transformation_id(cycle_id: UUID, tier: int) -> UUID:
    """Return the id of a cycle's tier, the same after every crash."""
    digest = int.from_bytes(hashlib.sha256(cycle_id.bytes + bytes([tier])).digest()[:10], "big")
    # A UUIDv7 of the cycle's own millisecond is near the cycle's in the index.
    millisecond = cycle_id.int >> 80
    return uuid.UUID(
        int=millisecond << 80
        | 0x7 << 76  # version
        | (digest >> 62 & 0xFFF) << 64
        | 0b10 << 62  # variant
        | digest & ((1 << 62) - 1)
    )


def quick(cycle: ClaimedCycle, results: Mapping[int, TierResult]) -> bool:
    """Tell whether no open tier waits for something outside this process."""
    try:
        return not any(
            registry.transformer(rules.tier_rule(cycle.context, tier).transformer).slow
            for tier in TIERS
            if tier not in results
        )
    except OrbitError:
        return False


def add_to(write: fence.FencedWrite, results: dict[int, TierResult]) -> dict[int, TierResult]:
    """Attempt each tier of a new, quick cycle once; return all results.

    ``write`` initiates the cycle too.
    """
    stage = _Stage(write.cycle, None, results, pending=write)
    write.rows["tiers"] = []
    write.records.append(Record(STAGE, "stage_started"))
    _attempt_due(stage)
    return stage.results


def share_input(write: fence.FencedWrite) -> None:
    """Leave out the outputs of ``write`` that are the cycle's input: its row has the bytes.

    Call it once ``write`` has its items. An output without one stays: a re-run reads it, and a
    worker of an earlier release, which knows no shared outputs, may do so.
    """
    with_items = {row["transformation_id"] for row in write.rows["items"]}
    for row in write.rows["tiers"]:
        if (
            row["id"] in with_items
            and row["blob"] is not None
            and write.blobs[row["blob"] - 1] == write.cycle.input
        ):
            row["blob"], row["is_input"] = None, True


def run(
    cycle: ClaimedCycle, initiation_id: UUID, results: dict[int, TierResult]
) -> dict[int, TierResult]:
    """Attempt each tier that is due; return the results of all three.

    Raises Fenced, and Interrupted after saving what has ended.
    """
    stage = _Stage(cycle, initiation_id, results)
    _attempt_due(stage)
    stage.flush()
    return results


def _attempt_due(stage: _Stage) -> None:
    for tier in TIERS:
        result = stage.results.setdefault(
            tier, TierResult(tier, transformation_id(stage.cycle.id, tier))
        )
        if result.ok is None and result.wait <= 0:
            _attempt(stage, result)
    _finish_if_ended(stage)


def _attempt(stage: _Stage, result: TierResult) -> None:
    rule = rules.tier_rule(stage.cycle.context, result.tier)
    slow = _is_slow(rule)
    if slow:
        # Keep what has ended while this one waits. An error of the database isn't this tier's.
        stage.flush()
    began, retry, reason = time.monotonic(), True, ""
    result.attempts += 1
    try:
        interrupts.check(leaves=slow)
        transformer = registry.transformer(rule.transformer)
        context = _context(stage.cycle, result, rule)
        interrupts.act(context.timeout + GRACE_SECONDS)
        with fence.away() if slow else nullcontext():
            result.payload = transformer.run(_input(stage.cycle), context)
        result.ok, result.error = True, ""
    except interrupts.Interrupted:
        stage.flush()
        raise
    except TransformError as exc:
        retry, reason = exc.retry, clean(exc.detail)
        result.error = reason
    except Exception as exc:
        # Another package's transformer may raise anything: only its tier fails.
        reason = type(exc).__name__
        result.error = clean(f"{type(exc).__name__}: {exc}")
    if result.ok is None:
        _decide_retry(result, rule, retry=retry)
    _save(stage, _Attempt(result, rule.transformer, time.monotonic() - began, reason))
    # With the last tier, so that the stage's end is on record once, whenever the worker dies.
    _finish_if_ended(stage)
    # Quick tiers are saved together.
    if slow:
        stage.flush()


def _is_slow(rule: TierRule) -> bool:
    try:
        return registry.transformer(rule.transformer).slow
    except OrbitError:
        return False  # unknown: its attempt says so


def _context(cycle: ClaimedCycle, result: TierResult, rule: TierRule) -> Context:
    return Context(
        transformation_id=str(result.transformation_id),
        options=dict(rule.options),  # its own: tiers and cycles share the default rule
        timeout=float(rule.timeout),
        cycle_id=str(cycle.id),
        namespace=cycle.namespace,
        tier=result.tier,
        traceparent=report.header(
            cycle.id, cycle.traceparent, spans.tier_key(result.tier, result.attempts)
        ),
    )


def _input(cycle: ClaimedCycle) -> Payload:
    # The claim reads the input unless all tiers have ended. Each tier has a payload of its own.
    assert cycle.input is not None  # noqa: S101
    return Payload(cycle.input, cycle.input_content_type)


def _decide_retry(result: TierResult, rule: TierRule, *, retry: bool) -> None:
    wait = next_wait(result.attempts, rule) if retry else None
    if wait is None:
        result.ok = False
        return
    # Waiting holds no worker: the tier's row says when it is due.
    result.wait = wait


def next_wait(attempts: int, rule: TierRule, *, group: str | None = None) -> float | None:
    """Return the seconds before the next attempt, or None if ``attempts`` were all.

    Equal for callers of one ``group``.
    """
    if attempts >= int(rule.max_attempts):
        return None
    return backoff.delay(
        attempts, base=float(rule.backoff_base), cap=BACKOFF_CAP, factor=2, group=group
    )


def _save(stage: _Stage, attempt: _Attempt) -> None:
    """Add an attempt's row, records and event to the stage's write."""
    write, result, payload = stage.write, attempt.result, attempt.result.payload
    blob = write.blob(payload.body) if payload else None
    result.sha256 = write.sha256(blob) if blob else ""
    write.rows["tiers"].append(
        {
            "id": result.transformation_id,
            "cycle_id": stage.cycle.id,
            "initiation_id": stage.initiation_id,
            "tier": result.tier,
            "transformer": attempt.transformer,
            "status": _STATUS[result.ok],
            "attempts": result.attempts,
            "wait": result.wait if result.ok is None else None,
            "blob": blob,
            "is_input": False,
            "content_type": payload.content_type if payload else "",
            "sha256": result.sha256,
            "error": result.error,
            "took": attempt.seconds,
        }
    )
    write.records += _records(attempt)
    if result.ok is not None:
        write.checkpoints.append(TIERS[result.tier])
    write.events.append(
        Event(
            Name.TIER_ATTEMPT,
            stage=STAGE,
            level="info" if result.ok else "warning",
            duration_ms=attempt.seconds * 1000,
            metadata={
                "tier": result.tier,
                "attempt": result.attempts,
                "ok": bool(result.ok),
                **({} if result.ok else {"error": attempt.reason}),
            },
        )
    )


def _records(attempt: _Attempt) -> list[Record]:
    result, tier = attempt.result, attempt.result.tier
    data = {
        "tier": tier,
        "attempt": result.attempts,
        "transformer": attempt.transformer,
        "duration_ms": round(attempt.seconds * 1000, 3),
    }
    ended = {"tier": tier, "attempts": result.attempts}
    if result.ok:
        return [
            Record(STAGE, "tier_attempt", data=data),
            Record(STAGE, "tier_succeeded", data=ended),
        ]
    attempted = Record(STAGE, "tier_attempt", result.error, "warning", data)
    if result.ok is False:
        message = f"tier {tier}: {result.error}"
        return [attempted, Record(STAGE, "tier_failed", message, "error", ended)]
    message = f"tier {tier} again in {result.wait:.1f} s"
    return [attempted, Record(STAGE, "tier_retry", message, "warning", {"tier": tier})]


def _finish_if_ended(stage: _Stage) -> None:
    """Add the stage's end to the write of its last tier."""
    if stage.finished or len(stage.results) < len(TIERS):
        return
    if any(result.ok is None for result in stage.results.values()):
        return
    stage.finished = True
    results = [stage.results[tier].summary() for tier in TIERS]
    failed = [f"tier {result['tier']}" for result in results if not result["ok"]]
    duration = (time.monotonic() - stage.began) * 1000
    message = f"{len(failed)} of {len(results)} failed: {', '.join(failed)}" if failed else ""
    level = "warning" if failed else "info"
    data = {"ok": not failed, "tiers": results, "duration_ms": round(duration, 3)}
    stage.write.records.append(Record(STAGE, "stage_finished", message, level, data))
    stage.write.events.append(
        Event(Name.STAGE_FINISHED, stage=STAGE, duration_ms=duration, metadata={"ok": not failed})
    )
