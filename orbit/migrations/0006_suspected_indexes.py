"""Cycles that may kill their worker leave the index of the others, and are found by age."""

from django.db import migrations, models

TABLE, COLUMNS = "orbit_cyclerun", "next_due_at, id"
FREE, SUSPECTED = (
    "next_due_at IS NOT NULL AND resumes < 2",
    "next_due_at IS NOT NULL AND resumes >= 2",
)


def drop_invalid(name: str) -> str:
    """Return the statement that drops an index that failed half-way, and no other."""
    return f"""DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid)
    -- in this transaction, so not beside others: they must not queue behind it
    THEN SET LOCAL lock_timeout = '10s'; DROP INDEX {name}; END IF;
END $$"""


def build(name: str, condition: str) -> list[migrations.RunSQL]:
    """Build an index beside running processes; one that is whole stays."""
    return [
        migrations.RunSQL(drop_invalid(name), migrations.RunSQL.noop),
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {TABLE} ({COLUMNS})"
            f" WHERE {condition}",
            f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        ),
    ]


# What builds beside others waits for the oldest transaction, and nobody queues behind it.
WAIT_LONG = "SELECT set_config('orbit.lock_timeout', current_setting('lock_timeout'), false)"
SET_NONE = "SET lock_timeout = 0"
SET_BACK = "SELECT set_config('lock_timeout', current_setting('orbit.lock_timeout'), false)"


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0005_calls")]
    operations = [
        migrations.RunSQL(f"{WAIT_LONG}; {SET_NONE}", SET_BACK),
        *build("cycle_due_free", FREE),
        *build("cycle_suspected_order", SUSPECTED),
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS cycle_due_order",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS cycle_due_order ON {TABLE} ({COLUMNS})"
            " WHERE next_due_at IS NOT NULL",
        ),
        migrations.RunSQL(SET_BACK, f"{WAIT_LONG}; {SET_NONE}"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("cyclerun", "cycle_due_order"),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__lt=2),
                        name="cycle_due_free",
                    ),
                ),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__gte=2),
                        name="cycle_suspected_order",
                    ),
                ),
            ]
        ),
    ]
