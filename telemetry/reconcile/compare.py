"""Find what differs between the projection and the authority: by set, in constant memory."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from telemetry import database
from telemetry.events import SELFCHECK_NAMESPACE
from telemetry.reconcile.authority import Authority

CLEAR = database.load(__name__, "clear_drift")
# The simulated task of a selfcheck is no drift.
FIND = database.load(__name__, "find_drift", selfcheck=SELFCHECK_NAMESPACE)
COUNT = database.load(__name__, "count_drift")

_VIEW = "CREATE TEMPORARY VIEW telemetry_authority AS {}"
AUTHORITY_TABLE = """
CREATE TEMPORARY TABLE telemetry_authority (
    task_id text, status text, changed_at timestamptz, title text, priority bigint, tags jsonb,
    namespace text)
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
        kind = "TABLE" if database.IS_SEPARATE else "VIEW"
        cursor.execute(f"DROP {kind} IF EXISTS pg_temp.telemetry_authority")
        if database.IS_SEPARATE:
            cursor.execute(AUTHORITY_TABLE)
            _copy(authority.query)
            cursor.execute("ANALYZE telemetry_authority")
        else:
            cursor.execute(_VIEW.format(authority.query))
        CLEAR.execute()
        FIND.execute()
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
