"""Find what differs between the projection and the authority: by set, in constant memory."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from telemetry import database
from telemetry.events import SELFCHECK_NAMESPACE
from telemetry.reconcile.authority import Authority

CLEAR = database.load(__name__, "clear_drift")
# The simulated task of a selfcheck is no drift.
FIND = database.load(__name__, "find_drift", selfcheck=SELFCHECK_NAMESPACE)
COUNT = database.load(__name__, "count_drift")

# Tasks whose events still wait in the outbox, in the snapshot in which their status is read.
_AUTHORITY = """
SELECT a.*, w.task_id IS NOT NULL
FROM ({}) AS a (task_id, status, changed_at, title, priority, tags, namespace)
LEFT JOIN (SELECT DISTINCT task_id FROM telemetry_outboxevent WHERE task_id <> '') AS w
    ON w.task_id = a.task_id
"""
_VIEW = """
CREATE TEMPORARY VIEW telemetry_authority (
    task_id, status, changed_at, title, priority, tags, namespace, is_waiting) AS {}
"""
#: More than any task is old.
_NEVER = 100_000
AUTHORITY_TABLE = """
CREATE TEMPORARY TABLE telemetry_authority (
    task_id text, status text, changed_at timestamptz, title text, priority bigint, tags jsonb,
    namespace text, is_waiting boolean)
"""


class Kind(StrEnum):
    """The kinds of drift."""

    MISSING_IN_PROJECTION = "missing_in_projection"
    MISSING_IN_TASKS = "missing_in_tasks"
    STATUS_MISMATCH = "status_mismatch"


@dataclass(frozen=True, slots=True)
class Drift:
    """How many tasks differ in one way, and the first five."""

    count: int
    ids: list[str]

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return asdict(self)


def compare(authority: Authority) -> dict[Kind, Drift]:
    """List the differences in the drift table; return them by kind. Inside a transaction."""
    with transaction.atomic(using=database.ALIAS), database.connection().cursor() as cursor:
        query = _AUTHORITY.format(authority.query)
        # What is projected from here on may be newer than what the authority tells.
        cursor.execute("SELECT clock_timestamp()")
        ((since,),) = cursor.fetchall()
        kind = "TABLE" if database.IS_SEPARATE else "VIEW"
        cursor.execute(f"DROP {kind} IF EXISTS pg_temp.telemetry_authority")
        if database.IS_SEPARATE:
            cursor.execute(AUTHORITY_TABLE)
            _copy(query)
            cursor.execute("ANALYZE telemetry_authority")
        else:
            cursor.execute(_VIEW.format(query))
        CLEAR.execute()
        days = authority.forgets_after_days
        FIND.execute(
            since=since,
            unknown_days=days or _NEVER,
            # Not before its events are gone, too: they would bring it back.
            forgotten_days=max(days, settings.ORBIT_TELEMETRY_RETENTION_DAYS) if days else _NEVER,
        )
        cursor.execute(f"DROP {kind} pg_temp.telemetry_authority")
    return {Kind(name): Drift(count, ids) for name, count, ids in COUNT.rows()}


def _copy(query: str) -> None:
    """Copy the authority's rows from the main database, in blocks, unparsed."""
    main, second = connections[DEFAULT_DB_ALIAS], database.connection()
    main.ensure_connection()
    with (
        main.wrap_database_errors,
        main.connection.cursor() as source,
        second.connection.cursor() as target,
        source.copy(f"COPY ({query}) TO STDOUT") as blocks,
        target.copy("COPY telemetry_authority FROM STDIN") as into,
    ):
        for block in blocks:
            into.write(block)
