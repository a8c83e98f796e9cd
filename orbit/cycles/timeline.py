"""When a cycle's work happened: stages, tiers, attempts, stops and workers, as a Gantt plot."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Q

from governance import display
from governance.kernel import sql
from governance.models import Stop
from governance.plots.gantt import MOST_MARKS, Gantt, Span, Track
from orbit.cycles.overview import Overview
from orbit.cycles.tabs import Filter
from orbit.models import CycleRun, DeliveryReceipt, ExecutionRecord, Transformation
from orbit.states import Tier

ATTEMPTS = sql.load(__name__, "attempts_of_cycle")
#: Rows of attempts by endpoint, status and answer.
MOST_ANSWERS = 5_000
_MOST_RECORDS = 500
_MOST_STOPS = 20
_MOST_NOTED = 6
_EVENTS = (
    "cycle_started",
    "cycle_resumed",
    "stage_started",
    "stage_finished",
    "initiation_reused",
    "tier_attempt",
)
_WORSE_FIRST = ("failed", "unknown", "unsent", "sending", "delivered")

_Event = tuple[datetime, str, str, str, str, dict[str, Any]]


def read(overview: Overview, chosen: Filter, *, now: datetime) -> Gantt:
    """Read the timeline: four queries, and 200 attempts of deliveries."""
    cycle = overview.cycle
    records = ExecutionRecord.objects.filter(partition_key=cycle.pk, event__in=_EVENTS)
    events: list[_Event] = list(
        records.order_by("partition_key", "id").values_list(
            "created_at", "stage", "event", "level", "message", "data"
        )[:_MOST_RECORDS]
    )
    end = cycle.finished_at or now
    tracks = [
        Track("waiting", [Span(cycle.created_at, cycle.started_at, "pending")], "for a worker"),
        *_workers(cycle, events, end),
        _stage(events, "initiation"),
        *_tiers(overview.tiers, events, now),
        _stage(events, "normalization"),
        *_deliveries(cycle, chosen, now),
        *_stops(cycle, end),
    ]
    return Gantt("Timeline of the cycle", _kept(tracks, chosen), now, live=not cycle.finished_at)


def _kept(tracks: Iterable[Track], chosen: Filter) -> list[Track]:
    kept = []
    for track in tracks:
        # Only deliveries are an endpoint's; their read has chosen them.
        endpoint = chosen.endpoint if track.name == chosen.endpoint else ""
        spans = [span for span in track.spans if chosen.keeps(span.state, endpoint)]
        kept += [replace(track, spans=spans)] if spans else []
    return kept


def _workers(cycle: CycleRun, events: Sequence[_Event], end: datetime) -> list[Track]:
    starts = [at for at, _, event, *_ in events if event in ("cycle_started", "cycle_resumed")]
    if len(starts) < 2:
        if cycle.started_at is None or cycle.finished_at is not None:
            return []
        return [Track("running", [Span(cycle.started_at, None, "running")])]
    spans = [Span(start, after, "unknown", "its lease ended") for start, after in pairwise(starts)]
    spans.append(Span(starts[-1], end, "running" if cycle.finished_at is None else "success"))
    return [Track("workers", spans, f"resumed {len(starts) - 1} times")]


def _stage(events: Sequence[_Event], name: str) -> Track:
    start, spans, note = None, [], ""
    for at, stage, event, level, message, data in events:
        if stage != name:
            continue
        if event == "stage_started":
            start = at
        elif event == "initiation_reused":
            note = "reused"
        elif event == "stage_finished" and start is not None:
            took = timedelta(milliseconds=data.get("duration_ms") or 0)
            state = "success" if data.get("ok", level == "info") else "failed"
            spans.append(Span(start, max(at, start + took), state, message))
            text = display.duration(took.total_seconds())
            note = ", ".join(part for part in (text, note, message) if part)
    return Track(name, spans, note)


def _tiers(
    tiers: Sequence[Transformation], events: Sequence[_Event], now: datetime
) -> Iterator[Track]:
    attempts: dict[int, list[Span]] = defaultdict(list)
    for at, _, event, level, message, data in events:
        if event == "tier_attempt":
            took = timedelta(milliseconds=data.get("duration_ms") or 0)
            state = "success" if level == "info" else "failed"
            attempts[data.get("tier", 0)].append(Span(at - took, at, state, message))
    for tier in tiers:
        spans = attempts[tier.tier]
        if tier.started_at and (tier.status == Tier.PENDING or not spans):
            ended = tier.finished_at or (None if tier.status == Tier.PENDING else now)
            begun = spans[-1].end if spans else None
            spans.append(Span(begun or tier.started_at, ended, tier.status, tier.error[:200]))
        tries = "" if tier.attempts < 2 else f"{tier.attempts} tries, "
        took_ = "" if tier.error or len(spans) != 1 else _took(spans[0], now)
        taken = "taken over" if tier.taken_from_id else ""
        yield Track(f"tier {tier.tier}", spans, tries + (tier.error or took_ or taken))


def _deliveries(cycle: CycleRun, chosen: Filter, now: datetime) -> Iterator[Track]:
    answers = ATTEMPTS.rows(cycle=cycle.pk, most=MOST_ANSWERS)
    receipts: dict[str, list[DeliveryReceipt]] = defaultdict(list)
    rows = DeliveryReceipt.objects.filter(job__cycle=cycle).select_related("job")
    if chosen.endpoint:
        rows = rows.filter(job__endpoint_key=chosen.endpoint)
    for receipt in rows.order_by("id")[:MOST_MARKS]:
        receipts[receipt.job.endpoint_key].append(receipt)
    by_endpoint: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for key, *answer in answers:
        by_endpoint[key].append(tuple(answer))
    # What never arrived comes first: of many endpoints only the first are drawn.
    in_order = sorted(
        by_endpoint.items(), key=lambda item: any(row[0] == "delivered" for row in item[1])
    )
    for key, counted in in_order:
        if chosen.endpoint in ("", key):
            spans = [_attempt(receipt) for receipt in receipts[key]]
            yield Track(key, [*spans, *_rest(spans, counted)], _answers(spans, counted, now))


def _attempt(receipt: DeliveryReceipt) -> Span:
    answer = str(receipt.status_code or receipt.error_class or receipt.status)
    note = f"{answer}, attempt {receipt.attempt}"
    return Span(receipt.started_at, receipt.finished_at, receipt.status, note)


def _rest(spans: Sequence[Span], counted: Sequence[tuple[Any, ...]]) -> list[Span]:
    """Return one span for the attempts that were counted, but not read."""
    more = sum(row[2] for row in counted) - len(spans)
    if more <= 0:
        return []
    state = min((row[0] for row in counted), key=_WORSE_FIRST.index)
    first = spans[-1].end or spans[-1].start if spans else min(row[5] for row in counted)
    last = max(row[6] for row in counted)
    return [Span(min(first, last), last, state, f"{more} more, the worst of them")]


def _answers(spans: Sequence[Span], counted: Sequence[tuple[Any, ...]], now: datetime) -> str:
    if len(spans) == 1:
        return f"{spans[0].note.split(',')[0]}, {_took(spans[0], now)}"
    if 1 < len(spans) <= _MOST_NOTED:
        return " · ".join(span.note.split(",")[0] for span in spans)
    return ", ".join(f"{row[2]} × {row[1] or row[0]}" for row in counted)


def _stops(cycle: CycleRun, end: datetime) -> list[Track]:
    stops = Stop.objects.filter(
        Q(namespace__name=cycle.namespace_id) | Q(namespace=None),
        Q(ended_at__isnull=True) | Q(ended_at__gt=cycle.created_at),
        since__lt=end,
    ).order_by("id")
    spans = [
        Span(
            max(stop.since, cycle.created_at),
            None if stop.ended_at is None and cycle.finished_at is None else _before(stop, end),
            "halted",
            f"{stop.kind} by {stop.started_by}: {stop.reason}",
        )
        for stop in stops[:_MOST_STOPS]
    ]
    return [Track("halted", spans, spans[-1].note)] if spans else []


def _before(stop: Stop, end: datetime) -> datetime:
    return min(stop.ended_at or end, end)


def _took(span: Span, now: datetime) -> str:
    return display.duration(((span.end or now) - span.start).total_seconds())
