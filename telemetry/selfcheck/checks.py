"""The twelve lines of the checklist, in the document's words."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import Error, IntegrityError, transaction

from governance.access.actors import SYSTEM
from governance.kernel.errors import OrbitError
from governance.states import Outcome
from telemetry import coverage, database
from telemetry.coverage import Code
from telemetry.events import SELFCHECK_NAMESPACE, Name
from telemetry.ingest import schema_gate
from telemetry.models import (
    Artifact,
    ErrorGroup,
    Metric,
    PolicyViolation,
    TaskProjection,
    TelemetryEvent,
)
from telemetry.reconcile import by_hand, report
from telemetry.reconcile import run as reconcile
from telemetry.reconcile.compare import Kind
from telemetry.selfcheck import simulation
from telemetry.selfcheck.simulation import Simulation

#: Scripts go on meanwhile: a run may find what came after the one before.
_RECONCILE_TRIES = 4
_MIGRATE = "Run manage.py migrate."
_LOOK = "See docs/telemetry.md, and the log of this command."

EXISTING_COLUMNS = database.load(__name__, "existing_columns")
INSERT_WITHOUT_FILE = database.load(__name__, "insert_violation_without_file")
HIDE_TABLES = database.load(__name__, "hide_tables")


class _Counter(logging.Handler):
    """Counts records."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class Failed(Exception):
    """A line that isn't true here: why, and how to mend it."""

    def __init__(self, why: str, mend: str = _LOOK) -> None:
        super().__init__(why)
        self.why, self.mend = why, mend


@dataclass(slots=True)
class State:
    """What lines hand to later ones."""

    simulation: Simulation | None = None
    #: Kinds and counts of the last reconciliation.
    drift: dict[str, int] = field(default_factory=dict)

    def simulated(self) -> Simulation:
        """Return the simulated run; it is made once."""
        if self.simulation is None:
            self.simulation = simulation.simulate()
        return self.simulation


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the checklist and its result."""

    line: str
    ok: bool
    why: str = ""
    mend: str = ""


def walk() -> list[Line]:
    """Check every line; one that fails doesn't stop the others."""
    state = State()
    return [_check(text, check, state) for text, check in CHECKLIST.items()]


def _check(text: str, check: Callable[[State], None], state: State) -> Line:
    try:
        check(state)
    except Failed as failed:
        return Line(text, False, failed.why, failed.mend)
    except OrbitError as refusal:
        return Line(text, False, refusal.detail, _MIGRATE)
    except Error as error:
        return Line(text, False, " ".join(str(error).split())[:300], _MIGRATE)
    return Line(text, True)


def _require(condition: object, why: str, mend: str = _LOOK) -> None:
    if not condition:
        raise Failed(why, mend)


def _tables(_: State) -> None:
    schema_gate.check()


def _ingest_reports_itself(state: State) -> None:
    run = state.simulated()
    _require(not run.report.rejected_count, f"Events were rejected: {run.report.rejected[:3]}.")
    events = TelemetryEvent.objects.filter(session_id=run.ingest_session).order_by("id")
    actual = list(events.values_list("name", flat=True))
    _require(
        actual[:2] == [Name.TASK_START, Name.DECISION]
        and set(actual[2:-1]) <= {Name.EVENT_INSERT}
        and actual[-1:] == [Name.TASK_END],
        f"An ingest wrote {', '.join(actual) or 'nothing'}.",
    )
    decision = events.filter(name=Name.DECISION).values_list("metadata", flat=True)[0]
    _require(decision.get("decision") == "schema_ok", "Its decision is not schema_ok.")


def _errors_are_one_group(state: State) -> None:
    run = state.simulated()
    groups = ErrorGroup.objects.filter(
        namespace=SELFCHECK_NAMESPACE, message=simulation.MESSAGE, stage=simulation.STAGE
    )
    today = groups.order_by("-day").values_list("day", flat=True)[:1]
    _require(groups.filter(day__in=list(today)).count() == 1, "The errors are not one group.")
    counted = simulation.errors_counted() - run.counted_before
    _require(counted >= simulation.ERRORS, f"{simulation.ERRORS} errors were counted as {counted}.")


def _artifact(state: State) -> None:
    run = state.simulated()
    emitted = TelemetryEvent.objects.filter(session_id=run.session, name=Name.ARTIFACT_EMIT)
    _require(emitted.count() == 1, "The session has no artifact_emit.")
    artifacts = Artifact.objects.filter(session_id=run.session)
    actual = list(artifacts.values_list("path_name", "size", "sha256"))
    _require(
        actual == [(run.path, run.size, run.sha256)],
        f"The artifact was read as {actual}, not with the file's size and SHA-256.",
    )


def _coverage(state: State) -> None:
    [session] = coverage.scan(session=state.simulated().session).sessions
    _require(
        Code.CORE_MISSING not in session.codes and not session.missing,
        f"Coverage misses {', '.join(session.missing)} of a session that reported them.",
    )


def _violation(state: State) -> None:
    violations = PolicyViolation.objects.filter(session_id=state.simulated().session)
    actual = list(violations.values_list("file", "policy", "rule"))
    _require(actual == [("junit.xml", "selfcheck", "none")], f"The violation was read as {actual}.")
    try:
        with transaction.atomic(using=database.ALIAS):
            INSERT_WITHOUT_FILE.execute()
            transaction.set_rollback(True, using=database.ALIAS)
    except IntegrityError:
        return
    raise Failed("The database takes a violation without a file.", _MIGRATE)


def _provider_metric(state: State) -> None:
    metrics = Metric.objects.filter(session_id=state.simulated().session)
    actual = dict(metrics.values_list("name", "value"))
    _require(
        (actual.get("provider_type"), actual.get("provider_cache_hit")) == (1, 1),
        f"Microsoft from its cache was read as {actual}.",
    )


def _gate_refuses_once(_: State) -> None:
    logger, counter = schema_gate.log, _Counter()
    propagates = logger.propagate
    logger.addHandler(counter)
    logger.propagate = False  # nothing is wrong: the log stays clean
    try:
        with transaction.atomic(using=database.ALIAS):
            HIDE_TABLES.rows()  # from this transaction alone
            schema_gate.check()
    except schema_gate.SchemaMissing:
        _require(counter.count == 1, f"A missing table was reported {counter.count} times.")
        return
    finally:
        logger.removeHandler(counter)
        logger.propagate = propagates
    raise Failed("Ingest would go on without its tables.")


def _projection_columns(_: State) -> None:
    existing = {name for (name,) in EXISTING_COLUMNS.rows(table=TaskProjection._meta.db_table)}
    expected = (
        "task_id",
        "title",
        "status",
        "last_status_ts",
        "priority",
        "tags_json",
        "last_event_ts",
        "updated_utc",
    )
    missing = [name for name in expected if name not in existing]
    _require(not missing, f"Columns are missing: {', '.join(missing)}.", _MIGRATE)


def _projection_updated(state: State) -> None:
    session = state.simulated().session
    [ended_at] = TelemetryEvent.objects.filter(session_id=session, name=Name.TASK_END).values_list(
        "occurred_at", flat=True
    )
    row = TaskProjection.objects.filter(task_id=simulation.TASK).first()
    _require(
        # Not the row of a selfcheck before.
        row is not None
        and row.last_event_ts >= ended_at
        and (row.title, row.status) == ("Selfcheck", "succeeded"),
        f"After task_start and task_end the task is {row or 'not there'}.",
    )


def _reconciled(state: State) -> None:
    for _ in range(_RECONCILE_TRIES):
        run = by_hand.perform(reconcile.start(SYSTEM, reason="selfcheck"))
        note = run.progress.get("note", "")
        _require(run.outcome == Outcome.SUCCEEDED, f"Reconciliation {run.outcome}: {note}.")
        state.drift = {kind: actual["count"] for kind, actual in run.progress["drift"].items()}
        decisions = TelemetryEvent.objects.filter(
            name=Name.DECISION, metadata__operation_run_id=str(run.pk)
        )
        _require(
            {event["kind"] for event in decisions.values_list("metadata", flat=True)} == set(Kind),
            "Reconciliation didn't emit a decision for each kind of drift.",
        )
        if not any(state.drift.values()):
            return
    raise Failed(f"After {_RECONCILE_TRIES} runs there is drift: {state.drift}.")


def _projection_metrics(_: State) -> None:
    expected = {report.DRIFT_COUNT, report.SYNC_LATENCY, report.LAST_RECONCILE}
    actual = set(Metric.objects.filter(name__in=expected).values_list("name", flat=True).distinct())
    _require(actual == expected, f"Not recorded: {', '.join(sorted(expected - actual))}.")


CHECKLIST: dict[str, Callable[[State], None]] = {
    "Orchestration DB tables exist (events, tasks, artifacts, metrics)": _tables,
    "Populate script emits: task_start, decision (schema_ok), 0+ event_insert, task_end": (
        _ingest_reports_itself
    ),
    "No repeated identical SQL error spam": _errors_are_one_group,
    "CLI logs include artifact_emit for Pester artifacts": _artifact,
    "Coverage scan: zero FAIL_CORE_MISSING": _coverage,
    "Host policy report: no null file/policy/rule": _violation,
    "provider_type metric present in metrics table": _provider_metric,
    "New Pester tests pass (migration + error dedup)": _gate_refuses_once,
    "Projection table exists with expected columns": _projection_columns,
    "Projection updated after a simulated task_start/task_end event ingest": _projection_updated,
    "Reconciliation script emits drift metrics & decision events "
    "(drift_count=0 post initial sync)": _reconciled,
    "Projection metrics (projection_drift_count, projection_sync_latency_ms) recorded": (
        _projection_metrics
    ),
}
