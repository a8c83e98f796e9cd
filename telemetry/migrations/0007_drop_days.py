"""Events: a function of the owner drops old days; another one tells the state of partitions."""

from django.db import migrations

# The processes' own role may drop a day that is over since two days, and nothing else.
#
# A partition is dropped under a lock of the parent that stops all readers and writers of events. So
# that they never wait longer than 50 ms, that lock is waited for so long at most, and once it is
# there, for no other. The caller tries again later. A dump holds the parent for its whole time.
DROP = """
CREATE FUNCTION telemetry_drop_day(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
    parent CONSTANT regclass := 'telemetry_telemetryevent'::regclass;
    low CONSTANT timestamptz := day::timestamp AT TIME ZONE 'UTC';
    high CONSTANT timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
    part regclass;
    remain boolean;
    dropped integer := 0;
BEGIN
    IF day IS NULL OR day >= (now() AT TIME ZONE 'UTC')::date - 1 THEN
        RAISE EXCEPTION 'the day % is not over since two days', day;
    END IF;
    -- Keep other sessions from making a partition meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('telemetry_ensure_partitions'));
    IF to_regclass('telemetry_telemetryevent_default') IS NOT NULL THEN
        DELETE FROM telemetry_telemetryevent_default WHERE occurred_at >= low AND occurred_at < high;
    END IF;
    LOCK TABLE ONLY telemetry_telemetryevent IN ACCESS EXCLUSIVE MODE;
    FOR part IN
        SELECT p.part FROM telemetry_day_partitions() AS p WHERE p.day = telemetry_drop_day.day
    LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', part);
        EXECUTE format('DROP TABLE %s', part);
        dropped := dropped + 1;
    END LOOP;
    -- A partition that was made by hand may hold more than a day.
    SELECT EXISTS (
        SELECT 1 FROM telemetry_telemetryevent WHERE occurred_at >= low AND occurred_at < high
    ) INTO remain;
    IF remain THEN
        RAISE EXCEPTION 'the day % has events outside of partitions of its own', day;
    END IF;
    INSERT INTO telemetry_telemetryday (day, dropped_at) VALUES (day, clock_timestamp())
    ON CONFLICT ON CONSTRAINT telemetry_telemetryday_pkey DO UPDATE
    SET dropped_at = coalesce(telemetry_telemetryday.dropped_at, excluded.dropped_at);
    RETURN dropped;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION telemetry_drop_day(date) SET search_path = %I, pg_temp',
        current_schema());
END $$;
REVOKE ALL ON FUNCTION telemetry_drop_day(date) FROM PUBLIC;
"""
UNDROP = "DROP FUNCTION telemetry_drop_day(date);"

# By their bounds, not by their names: a day with many late events has several.
PARTITIONS = r"""
CREATE FUNCTION telemetry_day_partitions() RETURNS TABLE (day date, part regclass)
LANGUAGE sql STABLE AS $$
    SELECT (bounds.low AT TIME ZONE 'UTC')::date, bounds.part
    FROM (
        SELECT
            c.oid::regclass AS part,
            substring(expression FROM $b$FROM \('([^']+)'\)$b$)::timestamptz AS low,
            substring(expression FROM $b$TO \('([^']+)'\)$b$)::timestamptz AS high
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        CROSS JOIN pg_get_expr(c.relpartbound, c.oid) AS expression
        WHERE i.inhparent = 'telemetry_telemetryevent'::regclass
    ) AS bounds
    WHERE isfinite(bounds.low)
      AND bounds.high
          <= ((bounds.low AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'
$$;
-- Days that have a partition, or events in the DEFAULT one.
CREATE FUNCTION telemetry_days_before(before date) RETURNS SETOF date
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT p.day FROM telemetry_day_partitions() AS p WHERE p.day < before;
    IF to_regclass('telemetry_telemetryevent_default') IS NOT NULL THEN
        RETURN QUERY
            SELECT DISTINCT (e.occurred_at AT TIME ZONE 'UTC')::date
            FROM telemetry_telemetryevent_default AS e
            WHERE e.occurred_at < before::timestamp AT TIME ZONE 'UTC' AND isfinite(e.occurred_at);
    END IF;
END $$;
"""
UNPARTITIONS = """
DROP FUNCTION telemetry_days_before(date);
DROP FUNCTION telemetry_day_partitions();
"""

# A function, because a statement can't name a table that may be gone.
STATES = """
CREATE FUNCTION telemetry_partition_states()
RETURNS TABLE (parent text, made boolean, has_default boolean, default_used boolean)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    parent := 'telemetry_telemetryevent';
    SELECT
        coalesce(bool_or(inhrelid = to_regclass(
            parent || '_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))), false),
        coalesce(bool_or(inhrelid = to_regclass(parent || '_default')), false)
    INTO made, has_default
    FROM pg_inherits
    WHERE inhparent = to_regclass(parent);
    default_used := false;
    IF has_default THEN
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', parent || '_default') INTO default_used;
    END IF;
    RETURN NEXT;
END $$;
"""
UNSTATES = "DROP FUNCTION telemetry_partition_states();"


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0006_outbox")]

    operations = [
        migrations.RunSQL(PARTITIONS, UNPARTITIONS),
        migrations.RunSQL(DROP, UNDROP),
        migrations.RunSQL(STATES, UNSTATES),
    ]
