"""Events: a DEFAULT partition, and functions that make others beside writers."""

import importlib

from django.db import migrations

from governance.kernel import partitions

FUNCTIONS = """
DROP FUNCTION telemetry_ensure_partitions(date, date);
CREATE FUNCTION telemetry_ensure_day(day date) RETURNS integer LANGUAGE sql AS $$
    -- A slice of 20,000 events takes some tenths of a second.
    SELECT telemetry_make_partition(
        'telemetry_telemetryevent', 'telemetry_telemetryevent_p' || to_char(day, 'YYYYMMDD'),
        (day::timestamp AT TIME ZONE 'UTC')::text, ((day + 1)::timestamp AT TIME ZONE 'UTC')::text,
        20000)
$$;
CREATE FUNCTION telemetry_ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    day date;
    made integer := 0;
BEGIN
    IF last_day - first_day > 800 THEN
        RAISE EXCEPTION 'at most 800 days at once';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('telemetry_ensure_partitions'));
    FOR day IN SELECT d::date FROM generate_series(first_day, last_day, interval '1 day') AS d LOOP
        made := made + telemetry_ensure_day(day);
    END LOOP;
    RETURN made;
END $$;
-- Makes the partition of the oldest event in the DEFAULT one, which moves events there. Returns 0 if
-- there is nothing to move.
CREATE FUNCTION telemetry_empty_default() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    moment timestamptz;
BEGIN
    IF to_regclass('telemetry_telemetryevent_default') IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('telemetry_ensure_partitions'));
    SELECT min(occurred_at) INTO moment FROM telemetry_telemetryevent_default
    WHERE isfinite(occurred_at);
    RETURN CASE WHEN moment IS NULL THEN 0
        ELSE telemetry_ensure_day((moment AT TIME ZONE 'UTC')::date) END;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION telemetry_ensure_partitions(date, date) '
        'SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION telemetry_empty_default() SET search_path = %I, pg_temp',
        current_schema());
END $$;
REVOKE ALL ON FUNCTION telemetry_ensure_partitions(date, date) FROM PUBLIC;
REVOKE ALL ON FUNCTION telemetry_empty_default() FROM PUBLIC;
"""
EMPTY = "DO $$ BEGIN WHILE telemetry_empty_default() > 0 LOOP END LOOP; END $$;"
UNFUNCTIONS = """
DROP FUNCTION telemetry_ensure_partitions(date, date);
DROP FUNCTION telemetry_empty_default();
DROP FUNCTION telemetry_ensure_day(date);
"""
BEFORE: str = importlib.import_module("telemetry.migrations.0002_event_partitions").FUNCTION


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0002_event_partitions")]

    operations = [
        partitions.default_partition("telemetry_telemetryevent"),
        partitions.make_partition("telemetry"),
        migrations.RunSQL(FUNCTIONS, EMPTY + UNFUNCTIONS + BEFORE),
    ]
