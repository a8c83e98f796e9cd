"""The event log: partitioned by day. A function of the owner creates partitions."""

from django.db import migrations

TABLE = """
CREATE TABLE telemetry_telemetryevent (
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    name varchar(100) NOT NULL,
    namespace varchar(100),
    profile_id varchar(100),
    run_id uuid,
    session_id varchar(200),
    task_id varchar(200),
    stage varchar(50),
    level varchar(10) NOT NULL DEFAULT 'info' CHECK (level IN ('debug', 'info', 'warning', 'error')),
    duration_ms double precision CHECK (duration_ms >= 0),
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX telemetry_event_run ON telemetry_telemetryevent (run_id) WHERE run_id IS NOT NULL;
-- Most events only inform; the index holds the others.
CREATE INDEX telemetry_event_notable ON telemetry_telemetryevent (level, occurred_at DESC, id DESC)
    WHERE level IN ('debug', 'warning', 'error');
"""

# Owned by the tables' owner and run with its rights: the processes' own role may make a partition, and nothing else.
FUNCTION = """
CREATE FUNCTION telemetry_ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    day date;
    part text;
    made integer := 0;
BEGIN
    IF last_day - first_day > 800 THEN
        RAISE EXCEPTION 'at most 800 days at once';
    END IF;
    FOR day IN SELECT d::date FROM generate_series(first_day, last_day, interval '1 day') AS d LOOP
        part := 'telemetry_telemetryevent_p' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('telemetry_ensure_partitions'));
        -- A query, not to_regclass again: what that has looked up before, an advisory lock does not refresh.
        CONTINUE WHEN EXISTS (SELECT 1 FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace);
        EXECUTE format('CREATE TABLE %I PARTITION OF telemetry_telemetryevent FOR VALUES FROM (%L) TO (%L)',
                       part, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
DO $$ BEGIN EXECUTE format('ALTER FUNCTION telemetry_ensure_partitions(date, date) SET search_path = %I, pg_temp', current_schema()); END $$;
REVOKE ALL ON FUNCTION telemetry_ensure_partitions(date, date) FROM PUBLIC;
SELECT telemetry_ensure_partitions((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7);
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_initial")]

    operations = [
        migrations.RunSQL(TABLE, "DROP TABLE telemetry_telemetryevent;"),
        migrations.RunSQL(FUNCTION, "DROP FUNCTION telemetry_ensure_partitions(date, date);"),
    ]
