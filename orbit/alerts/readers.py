"""How the conditions of the pipeline, its schedules and its tables are read."""

from collections.abc import Collection
from datetime import timedelta
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from governance.alerts.conditions import MOST, Condition, Look, Observation, Reader
from governance.kernel import clock, sql
from governance.kernel.identifiers import uuid7_floor
from governance.models import Alert, GovernanceSetting
from governance.namespaces import gate
from governance.states import Mode
from orbit.cycles import maintenance
from orbit.models import CycleRun, EndpointState
from orbit.records import partitions
from orbit.retention import sweep
from orbit.states import ACTIVE, Tick
from telemetry.reconcile import run as reconcile

SCHEDULES_NOT_STARTED = sql.load(__name__, "schedules_not_started")
OPEN_LETTERS = sql.load(__name__, "open_letters")

#: A tick that is undecided for so long is not being started.
LATE_TICK_SECONDS = 120.0
#: A missed tick of a schedule that no longer runs is forgotten after this.
FORGOTTEN = timedelta(days=7)
#: The letters of an endpoint are counted so far.
LETTERS = 1_000


def cycle_not_started() -> Look:
    """Return the schedules whose last tick was missed, or waits for too long."""
    if gate.everything_paused() is not None:
        return Look([], is_complete=False)
    rows = SCHEDULES_NOT_STARTED.rows(
        since=uuid7_floor(clock.now() - FORGOTTEN), late=LATE_TICK_SECONDS, most=MOST + 1
    )
    observations = [
        Observation(
            schedule,
            f"{schedule} was due at {due_at:%Y-%m-%d %H:%M} UTC and "
            f"{'was missed' if outcome == Tick.MISSED else 'has not started yet'}",
            namespace,
            f"/admin/orbit/schedules/?{urlencode({'q': schedule})}",
        )
        for schedule, due_at, outcome, namespace in rows
    ]
    return Look.of(observations)


def cycle_not_finished() -> Look:
    """Return the cycles that are active for longer than ORBIT_ALERT_CYCLE_MINUTES.

    Those that a halt, a drain or a pause holds are not late.
    """
    if gate.everything_paused() is not None:
        return Look([])
    longest = timedelta(minutes=settings.ORBIT_ALERT_CYCLE_MINUTES)
    held = GovernanceSetting.objects.filter(
        ~Q(mode=Mode.RUNNING), Q(until__isnull=True) | Q(until__gt=Now())
    )
    cycles = (
        CycleRun.objects.filter(
            status__in=[str(status) for status in ACTIVE], created_at__lt=Now() - longest
        )
        .exclude(namespace__in=held.values("namespace__name"))
        .order_by("created_at")
        .values_list("id", "namespace_id", "created_at")[: MOST + 1]
    )
    observations = [
        Observation(
            str(cycle),
            f"The cycle of {namespace} was triggered at {created_at:%Y-%m-%d %H:%M} UTC and has "
            "not finished",
            str(namespace),
            f"/admin/orbit/cyclerun/{cycle}/change/",
        )
        for cycle, namespace, created_at in cycles
    ]
    return Look.of(observations)


def dead_letters() -> Look:
    """Return the open dead letters by endpoint and namespace."""
    rows = OPEN_LETTERS.rows(per_endpoint=LETTERS, most=MOST + 1)
    observations = [
        Observation(
            f"{endpoint_key} in {namespace}",
            f"{count:,}{' or more' if last == LETTERS else ''} open dead "
            f"letter{'' if count == 1 else 's'} at {endpoint_key} in {namespace}, "
            f"the last one at {newest:%Y-%m-%d %H:%M} UTC",
            namespace,
            f"/admin/orbit/deadletterdispatch/?{urlencode({'namespace': namespace})}",
            count,
        )
        for endpoint_key, namespace, count, newest, last in rows
    ]
    return Look.of(observations, unseen=_unseen({row[0] for row in rows if row[4] == LETTERS}))


def _unseen(endpoints: Collection[str]) -> list[str]:
    """Return the open alerts of endpoints whose older letters, of any namespace, aren't counted."""
    if not endpoints:
        return []
    alerts = Alert.objects.filter(condition=Condition.DEAD_LETTERS, resolved_at__isnull=True)
    names = alerts.values_list("object", flat=True)
    return [name for name in names if name.rpartition(" in ")[0] in endpoints]


def endpoint_down() -> Look:
    """Return the endpoints whose circuit is open."""
    states = EndpointState.objects.filter(opened_at__isnull=False).order_by("opened_at")
    observations = [
        Observation(
            f"{state.endpoint_key} at {state.host}",
            f"{state.endpoint_key} ({state.host}) is down since "
            f"{state.opened_at:%Y-%m-%d %H:%M} UTC: {state.last_error[:300]}",
            link=f"/admin/orbit/endpoints/{quote(state.endpoint_key, safe='')}/",
        )
        for state in states[: MOST + 1]
    ]
    return Look.of(observations)


def projection_drift() -> Look:
    """Return the task projection if it differed in two runs in a row."""
    runs = reconcile.drifting_runs()
    if runs < reconcile.WARN_AFTER:
        return Look([])
    summary = f"The task projection differed from the tasks in {runs} runs in a row"
    return Look([Observation("projection", summary, link="/admin/telemetry/projection/")])


def retention_lag() -> Look:
    """Return the retention if it is behind."""
    lag = sweep.lag_seconds()
    if lag <= sweep.LAG_TOLERATED_SECONDS:
        return Look([])
    summary = f"What retention should have deleted is still there, for {lag / 86_400:.0f} days"
    return Look([Observation("retention", summary, link="/admin/health/")])


def partitions_missing() -> Look:
    """Return what is wrong with the partitions."""
    problems = partitions.problems()
    if not problems:
        return Look([])
    return Look([Observation("partitions", " ".join(problems), link="/admin/health/")])


def no_cluster() -> Look:
    """Return the workspace if no cluster is at work. Only the web server can find that."""
    if maintenance.cluster_is_alive():
        return Look([])
    summary = "No cluster is running: cycles are accepted, but don't start"
    return Look([Observation("cluster", summary, link="/admin/health/")])


READERS: dict[Condition, Reader] = {
    Condition.CYCLE_NOT_STARTED: cycle_not_started,
    Condition.CYCLE_NOT_FINISHED: cycle_not_finished,
    Condition.DEAD_LETTERS: dead_letters,
    Condition.ENDPOINT_DOWN: endpoint_down,
    Condition.PROJECTION_DRIFT: projection_drift,
    Condition.RETENTION_LAG: retention_lag,
    Condition.PARTITIONS_MISSING: partitions_missing,
    Condition.NO_CLUSTER: no_cluster,
}
