"""Retention: indexes by the time of the end and for foreign keys; the owner's function for months."""

from django.db import migrations, models

from governance.kernel import indexes

# The processes' own role may drop a month of checkpoints and records of which no cycle is kept,
# and nothing else. Like ``telemetry_drop_day`` it waits 50 ms for the lock that stops all readers
# and writers, and then for no other. A cycle can't come back: its id is from the month it was made.
DROP = """
CREATE FUNCTION orbit_drop_month(parent text, month date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
    low CONSTANT timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    high CONSTANT timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    part CONSTANT text := parent || '_p' || to_char(month, 'YYYYMM');
BEGIN
    IF parent IS NULL OR parent NOT IN ('orbit_cyclecheckpoint', 'orbit_executionrecord') THEN
        RAISE EXCEPTION 'no months of % can be dropped', parent;
    END IF;
    IF month IS NULL OR high > now() - interval '1 day' THEN
        RAISE EXCEPTION 'the month of % is not over since a day', month;
    END IF;
    -- Keep other sessions from making a partition meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
    IF NOT EXISTS (
        SELECT 1 FROM pg_inherits
        WHERE inhparent = to_regclass(parent) AND inhrelid = to_regclass(part)
    ) THEN
        RETURN 0;
    END IF;
    IF EXISTS (
        SELECT 1 FROM orbit_cyclerun WHERE id >= orbit_uuid_floor(low) AND id < orbit_uuid_floor(high)
    ) THEN
        RAISE EXCEPTION 'cycles of the month of % are kept', month;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', part);
    EXECUTE format('DROP TABLE %I', part);
    RETURN 1;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION orbit_drop_month(text, date) SET search_path = %I, pg_temp',
        current_schema());
END $$;
REVOKE ALL ON FUNCTION orbit_drop_month(text, date) FROM PUBLIC;
"""
UNDROP = "DROP FUNCTION orbit_drop_month(text, date);"


def index(table: str, model: str, name: str, field: str, *more: str, partial: bool = False):
    """Return the operation that builds an index beside running processes."""
    where = f" WHERE {field} IS NOT NULL" if partial else ""
    condition = models.Q(**{f"{field}__isnull": False}) if partial else None
    columns = ", ".join([field, *more])
    names = [f.removesuffix("_id") if f != "id" else f for f in (field, *more)]
    return indexes.build(
        name,
        f"{table} ({columns}){where}",
        state=[
            migrations.AddIndex(model, models.Index(fields=names, condition=condition, name=name))
        ],
    )


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0010_conductor")]
    operations = [
        migrations.CreateModel(
            name="RetentionMark",
            fields=[
                ("kind", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("pruned_to", models.DateTimeField()),
                ("pruned_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            "conductorrun", "pruning_since", models.DateTimeField(null=True)
        ),
        migrations.AddConstraint(
            "conductorrun",
            models.CheckConstraint(
                condition=models.Q(pruning_since__isnull=True)
                | models.Q(finished_at__isnull=False),
                name="conductor_run_being_pruned_has_ended",
            ),
        ),
        index("orbit_cyclerun", "cyclerun", "cycle_finished", "finished_at", "id", partial=True),
        index("orbit_crontick", "crontick", "tick_decided", "decided_at", "id", partial=True),
        # Without these, each deleted row would make the check of its foreign key scan a table.
        index("orbit_transformation", "transformation", "transformation_initiation", "initiation_id"),
        index("orbit_normalizationitem", "normalizationitem", "item_batch", "batch_id"),
        index("orbit_dispatchjob", "dispatchjob", "job_item", "normalization_item_id"),
        index("orbit_dispatchjob", "dispatchjob", "job_snapshot", "snapshot_id"),
        indexes.build(
            "conductor_task_root_run",
            "orbit_conductortask (root_run_id) WHERE root_run_id IS NOT NULL",
        ),
        migrations.RunSQL(DROP, UNDROP),
    ]
