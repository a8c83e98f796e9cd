"""Spans of what happened: from events, and from the rows of a cycle that has ended."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orbit.tracing.ids import Key
from telemetry.emit import Event
from telemetry.events import Name

_STAGE = "stage"
_GOOD = {"success"}
#: What an event's metadata may tell the exporter: ids, names and states.
_SHOWN = ("tier", "attempt", "job_id", "endpoint_key", "outcome", "status_code", "late")
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from ``start`` to ``end`` (Unix seconds)."""

    name: str
    key: Key
    parent: Key
    start: float
    end: float
    attributes: dict[str, Any] = field(default_factory=dict)
    #: Why it failed, if it did.
    error: str | None = None
    is_request: bool = False


def tier_key(tier: int, attempt: int) -> Key:
    """Return the key of a tier's attempt."""
    return ("tier", tier, attempt)


def delivery_key(job_id: object, attempt: int) -> Key:
    """Return the key of a delivery attempt."""
    return ("delivery", job_id, attempt)


def of_event(event: Event) -> Span | None:
    """Return the span of an attempt; None for other events."""
    facts = event.metadata
    if event.name == Name.TIER_ATTEMPT:
        name, key = f"tier {facts['tier']}", tier_key(facts["tier"], facts["attempt"])
    elif event.name in {Name.DELIVERY_ATTEMPT, Name.DELIVERY_CONFIRMED}:
        name = f"deliver {facts['endpoint_key']}"
        key = delivery_key(facts["job_id"], facts["attempt"])
    else:
        return None
    failed = event.level != "info"
    return Span(
        name,
        key,
        (_STAGE, event.stage),
        event.at - (event.duration_ms or 0) / 1000,
        event.at,
        {f"orbit.{name}": facts[name] for name in _SHOWN if facts.get(name) is not None},
        _reason(facts.get("error") or facts.get("outcome")) if failed else None,
        is_request=event.name != Name.TIER_ATTEMPT,
    )


def of_cycle(
    cycle: Mapping[str, Any], records: Iterable[tuple[str, str, datetime, str, bool]]
) -> Iterator[Span]:
    """Yield the spans of an ended cycle and its stages.

    ``records``: stage, event, time, message and success of its stages' starts and ends, in order.
    """
    started: dict[str, float] = {}
    for stage, event, at, message, ok in records:
        if event == "stage_started":
            started.setdefault(stage, at.timestamp())
        else:
            ended = at.timestamp()
            error = None if ok else _reason(message or "failed")
            yield Span(stage, (_STAGE, stage), (), started.get(stage, ended), ended, error=error)
    status = cycle["status"]
    began = cycle["started_at"] or cycle["created_at"]
    yield Span(
        "cycle",
        (),
        (),
        began.timestamp(),
        cycle["finished_at"].timestamp(),
        {
            f"orbit.{name}": str(cycle[name])
            for name in ("status", "trigger", "run_profile_id", "rerun_of")
            if cycle[name] is not None
        },
        None if status in _GOOD else _reason(cycle["reason"] or status),
    )


def _reason(text: object) -> str:
    return str(text or "failed")[:_LONGEST_REASON]
