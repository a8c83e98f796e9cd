"""Records and checkpoints: DEFAULT partitions, and functions that make others beside writers."""

import importlib

from django.db import migrations, models

from governance.kernel import partitions

FUNCTIONS = """
DROP FUNCTION orbit_ensure_partitions(date, date);
CREATE FUNCTION orbit_ensure_month(parent text, month date) RETURNS integer LANGUAGE sql AS $$
    -- A slice of 20,000 rows takes some tenths of a second. The last time that a UUIDv7 can hold
    -- is in August of the year 10889.
    SELECT orbit_make_partition(
        parent, parent || '_p' || to_char(month, 'YYYYMM'),
        orbit_uuid_floor(month::timestamp AT TIME ZONE 'UTC')::text,
        orbit_uuid_floor(least(
            (month + interval '1 month')::timestamp AT TIME ZONE 'UTC',
            timestamptz '10889-08-02 00:00Z'))::text,
        20000)
$$;
CREATE FUNCTION orbit_ensure_partitions(first_month date, last_month date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    month date;
    made integer := 0;
BEGIN
    IF last_month - first_month > 3700 THEN
        RAISE EXCEPTION 'at most ten years at once';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
    FOR month IN
        SELECT d::date
        FROM generate_series(
            date_trunc('month', first_month), date_trunc('month', last_month), interval '1 month'
        ) AS d
    LOOP
        made := made + orbit_ensure_month('orbit_cyclecheckpoint', month)
            + orbit_ensure_month('orbit_executionrecord', month);
    END LOOP;
    RETURN made;
END $$;
CREATE FUNCTION orbit_uuid_month(id uuid) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('month', to_timestamp(
        ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
    ) AT TIME ZONE 'UTC')::date
$$;
-- Makes the partition of the oldest row in a DEFAULT one, which moves rows there. Returns 0 if there
-- is nothing to move.
CREATE FUNCTION orbit_empty_default() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    checkpoint uuid;
    record uuid;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
    IF to_regclass('orbit_cyclecheckpoint_default') IS NOT NULL THEN
        SELECT cycle_id INTO checkpoint FROM orbit_cyclecheckpoint_default ORDER BY 1 LIMIT 1;
    END IF;
    IF to_regclass('orbit_executionrecord_default') IS NOT NULL THEN
        SELECT partition_key INTO record FROM orbit_executionrecord_default ORDER BY 1 LIMIT 1;
    END IF;
    IF checkpoint IS NOT NULL THEN
        made := orbit_ensure_month('orbit_cyclecheckpoint', orbit_uuid_month(checkpoint));
    END IF;
    IF record IS NOT NULL THEN
        made := made + orbit_ensure_month('orbit_executionrecord', orbit_uuid_month(record));
    END IF;
    RETURN made;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION orbit_ensure_partitions(date, date) '
        'SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION orbit_empty_default() SET search_path = %I, pg_temp',
        current_schema());
END $$;
REVOKE ALL ON FUNCTION orbit_ensure_partitions(date, date) FROM PUBLIC;
REVOKE ALL ON FUNCTION orbit_empty_default() FROM PUBLIC;
-- A function, because a statement can't name a table that may be gone.
CREATE FUNCTION orbit_partition_states()
RETURNS TABLE (parent text, made boolean, has_default boolean, default_used boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    part text;
BEGIN
    FOR parent, part IN VALUES
        ('telemetry_telemetryevent', to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')),
        ('orbit_cyclecheckpoint', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')),
        ('orbit_executionrecord', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'))
    LOOP
        SELECT
            coalesce(bool_or(inhrelid = to_regclass(parent || '_p' || part)), false),
            coalesce(bool_or(inhrelid = to_regclass(parent || '_default')), false)
        INTO made, has_default
        FROM pg_inherits
        WHERE inhparent = to_regclass(parent);
        default_used := false;
        IF has_default THEN
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', parent || '_default') INTO default_used;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT orbit_protect_partition('orbit_cyclecheckpoint_default', 'orbit_refuse_change');
SELECT orbit_protect_partition('orbit_executionrecord_default', 'orbit_refuse_change');
"""
EMPTY = "DO $$ BEGIN WHILE orbit_empty_default() > 0 LOOP END LOOP; END $$;"
UNFUNCTIONS = """
DROP FUNCTION orbit_ensure_partitions(date, date);
DROP FUNCTION orbit_empty_default();
DROP FUNCTION orbit_ensure_month(text, date);
DROP FUNCTION orbit_uuid_month(uuid);
DROP FUNCTION orbit_partition_states();
DROP FUNCTION orbit_uuid_floor(timestamptz);
"""
BEFORE: str = importlib.import_module("orbit.migrations.0002_records").FUNCTION


class Migration(migrations.Migration):
    dependencies = [("orbit", "0003_due_indexes"), ("telemetry", "0003_event_default_partition")]

    operations = [
        partitions.default_partition("orbit_cyclecheckpoint"),
        partitions.default_partition("orbit_executionrecord"),
        partitions.make_partition("orbit"),
        migrations.AddField(
            model_name="clusternode",
            name="clock_ahead_seconds",
            field=models.FloatField(db_default=0.0, default=0.0),
        ),
        migrations.RunSQL(FUNCTIONS, EMPTY + UNFUNCTIONS + BEFORE),
    ]
