"""Events in the outbox, and what became of them."""

from tests.support import telemetry
from tests.support.pipeline import rows

KEYS = "SELECT id, occurred_at FROM {} ORDER BY 1, 2"


def fill(count: int, *, days_ago: int = 0, name: str = "delivery_attempt") -> None:
    """Add events, a microsecond apart."""
    rows(
        "INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, run_id, metadata)"
        " SELECT gen_random_uuid(), now() - make_interval(days => %s) + n * interval '1 us', %s,"
        "  'eu', gen_random_uuid(), jsonb_build_object('n', n)"
        " FROM generate_series(1, %s) AS n RETURNING 1",
        days_ago,
        name,
        count,
    )


def waiting() -> int:
    """Return how many events are in the outbox."""
    return int(rows("SELECT count(*) FROM telemetry_outboxevent")[0][0])


def keys() -> list[tuple[object, ...]]:
    """Return (id, occurred_at) of the events in the outbox."""
    return rows(KEYS.format("telemetry_outboxevent"))


def forwarded() -> list[tuple[object, ...]]:
    """Return (id, occurred_at) of the events in telemetry's own database; not of nightly runs."""
    return telemetry.rows(
        "SELECT id, occurred_at FROM telemetry_telemetryevent"
        " WHERE name IN ('delivery_attempt', 'tier_attempt') ORDER BY 1, 2"
    )


def counters() -> tuple[int, int]:
    """Return how many events were forwarded and refused, as Orbit counts."""
    states = rows("SELECT forwarded, refused FROM telemetry_outboxstate")
    return (int(states[0][0]), int(states[0][1])) if states else (0, 0)
