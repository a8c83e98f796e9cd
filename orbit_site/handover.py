"""What a shift hands over: all that users and Orbit did in some hours, in few bounded queries."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet

from advisory.models import StrategyProposal
from advisory.proposals import reading
from governance.access.actors import SYSTEM, Actor
from governance.alerts import listing as alerts
from governance.audit import search
from governance.kernel.identifiers import uuid7_floor
from governance.models import Alert, AuditTrailEntry, OperationRun, Stop
from governance.operations import ledger
from governance.rest import queries
from governance.states import Outcome
from orbit.models import CycleRun
from orbit.states import Cycle

#: Of each kind the newest.
MOST_ENTRIES, LISTED, MOST_CYCLES = 500, 20, 10_000
#: Entries of one object that are listed; the audit trail has the others.
OF_ONE = 5


@dataclass(frozen=True, slots=True)
class Changes:
    """The audit entries of one object, newest first."""

    object_type: str
    object_id: str
    entries: list[AuditTrailEntry]

    @property
    def first(self) -> list[AuditTrailEntry]:
        """The newest of them."""
        return self.entries[:OF_ONE]

    @property
    def more(self) -> int:
        """How many aren't listed."""
        return max(0, len(self.entries) - OF_ONE)

    @property
    def query(self) -> str:
        """What the list of the audit trail needs to show all of them."""
        return urlencode(
            {"object_type__exact": self.object_type, "object_id__exact": self.object_id}
        )


@dataclass(frozen=True, slots=True)
class Handover:
    """What happened between two times, for those who see ``namespaces``."""

    since: datetime
    until: datetime
    #: What users, tokens and commands did.
    changes: list[Changes]
    #: How often Orbit did what.
    own: list[tuple[str, int]]
    #: Whether there are more entries than were read.
    is_cut: bool
    #: Cycles that began, by outcome or state, those that need a look first.
    cycles: list[tuple[str, int]]
    operations: list[OperationRun]
    stops: list[Stop]
    proposals: list[StrategyProposal]
    alerts: list[Alert]

    @property
    def hours(self) -> int:
        """How long it was."""
        return round((self.until - self.since).total_seconds() / 3600)

    @property
    def open_stops(self) -> int:
        """How many halts, drains and pauses are still in force."""
        return sum(stop.ended_at is None for stop in self.stops)

    @property
    def sentence(self) -> str:
        """The shift in one sentence."""
        begun = sum(number for _, number in self.cycles)
        counts = dict(self.cycles)
        bad = counts.get(Cycle.FAILED, 0) + counts.get(Cycle.PARTIAL_SUCCESS, 0)
        entries = [entry for change in self.changes for entry in change.entries]
        actors = len({entry.actor for entry in entries})
        parts = [
            f"{_many(begun, 'cycle', at_most=MOST_CYCLES)} began"
            + (f", {bad:,} of them failed or partly failed" if bad else ""),
            f"{_many(len(entries), 'change')} by {_many(actors, 'actor')}",
        ]
        if self.open_stops:
            parts.append(f"{_many(self.open_stops, 'stop')} still in force")
        open_alerts = sum(alert.resolved_at is None for alert in self.alerts)
        if open_alerts:
            parts.append(f"{_many(open_alerts, 'open alert', at_most=LISTED)}")
        waiting = sum(proposal.state == "pending" for proposal in self.proposals)
        if waiting:
            parts.append(f"{_many(waiting, 'new proposal')} waiting")
        return f"{'; '.join(parts)}."


def read(actor: Actor, *, since: datetime, until: datetime, namespace: str = "") -> Handover:
    """Return the handover of what ``actor`` sees. Eight queries at most."""
    entries = _entries(actor, since, until, namespace)
    by_object: dict[tuple[str, str], list[AuditTrailEntry]] = {}
    own: Counter[str] = Counter()
    for entry in entries[:MOST_ENTRIES]:
        if entry.actor == SYSTEM.name:
            own[entry.action] += 1
        else:
            by_object.setdefault((entry.object_type, entry.object_id), []).append(entry)
    return Handover(
        since=since,
        until=until,
        changes=[Changes(*key, rows) for key, rows in by_object.items()],
        own=own.most_common(),
        is_cut=len(entries) > MOST_ENTRIES,
        cycles=_cycles(actor, since, until, namespace),
        operations=_operations(actor, since, until, namespace),
        stops=_stops(actor, since, until, namespace),
        proposals=_proposals(actor, since, until, namespace),
        alerts=_alerts(actor, since, until, namespace),
    )


def _entries(
    actor: Actor, since: datetime, until: datetime, namespace: str
) -> list[AuditTrailEntry]:
    span = search.Search(since=since, until=until, namespace=namespace or None)
    rows = span.entries(actor.namespaces).defer("before", "after")
    return list(rows.order_by("-id")[: MOST_ENTRIES + 1])


def _cycles(
    actor: Actor, since: datetime, until: datetime, namespace: str
) -> list[tuple[str, int]]:
    rows = CycleRun.objects.filter(
        actor.filter(), pk__gte=uuid7_floor(since), pk__lt=uuid7_floor(until)
    )
    if namespace:
        rows = rows.filter(namespace_id=namespace)
    newest = rows.order_by("-pk").only("status")[:MOST_CYCLES]
    counts = newest.aggregate(
        **{str(state): Count("pk", filter=Q(status=state)) for state in Cycle}
    )
    first = [str(Cycle.FAILED), str(Cycle.PARTIAL_SUCCESS)]
    states = [*first, *(state for state in counts if state not in first)]
    return [(state, counts[state]) for state in states if counts[state]]


def _operations(
    actor: Actor, since: datetime, until: datetime, namespace: str
) -> list[OperationRun]:
    """Return runs that a user started, and those that didn't succeed."""
    rows = OperationRun.objects.filter(
        ledger.visible(actor), pk__gte=uuid7_floor(since), pk__lt=uuid7_floor(until)
    )
    if namespace:
        rows = rows.filter(scope__contains=[namespace])
    quiet = Q(initiator=SYSTEM.name, outcome__in=[Outcome.SUCCEEDED, Outcome.SKIPPED])
    return list(rows.exclude(quiet).order_by("-id")[:LISTED])


def _stops(actor: Actor, since: datetime, until: datetime, namespace: str) -> list[Stop]:
    touched = Q(ended_at__isnull=True) | Q(ended_at__gte=since)
    rows = Stop.objects.filter(touched, since__lt=until).select_related("namespace")
    if namespace:
        rows = rows.filter(namespace__name=namespace)
    # A pause stops every namespace: those who are confined to some see it too.
    visible = actor.filter("namespace__name") | Q(namespace__isnull=True)
    return list(
        (rows if actor.namespaces is None else rows.filter(visible)).order_by("-id")[:LISTED]
    )


def _proposals(
    actor: Actor, since: datetime, until: datetime, namespace: str
) -> list[StrategyProposal]:
    rows: QuerySet[StrategyProposal] = reading.visible(actor).filter(
        created_at__gte=since, created_at__lt=until
    )
    if namespace:
        rows = rows.filter(namespace=namespace)
    return list(rows.order_by("-created_at", "-id").defer("patch", "evidence")[:LISTED])


def _alerts(actor: Actor, since: datetime, until: datetime, namespace: str) -> list[Alert]:
    """Return alerts that began in this time, and those that are still open."""
    began = Q(pk__gte=uuid7_floor(since)) | Q(resolved_at__isnull=True)
    rows = alerts.visible(actor).filter(began, pk__lt=uuid7_floor(until))
    return list((rows.filter(namespace=namespace) if namespace else rows)[:LISTED])


def _many(number: int, word: str, *, at_most: int = 0) -> str:
    more = "+" if at_most and number >= at_most else ""
    return f"{number:,}{more} {word}{'' if number == 1 else 's'}"


def window(hours: str, until: str, *, now: datetime) -> tuple[datetime, datetime]:
    """Return the times that an address means: without a valid text 8 hours until now."""
    length = int(hours) if hours.isascii() and hours.isdigit() and len(hours) < 4 else 8
    try:
        end = min(queries.moment(until), now) if until else now
    except ValueError:
        end = now
    return end - timedelta(hours=min(max(length, 1), 72)), end
