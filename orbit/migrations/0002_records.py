"""Checkpoints and execution records: partitioned by month, append-only. A function of the owner creates partitions."""

from django.db import migrations

from governance.kernel.append_only import append_only, refusing_function

TABLES = """
CREATE TABLE orbit_cyclecheckpoint (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cycle_id uuid NOT NULL,
    stage varchar(40) NOT NULL CHECK (stage IN ('cycle_started', 'initiation_complete', 'tier1_complete', 'tier2_complete', 'tier3_complete',
        'normalization_complete', 'dispatch_enqueued', 'dispatch_complete', 'cycle_finished')),
    fencing_token bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cycle_id, stage)
) PARTITION BY RANGE (cycle_id);
CREATE TABLE orbit_executionrecord (
    id uuid NOT NULL,
    partition_key uuid NOT NULL,
    cycle_id uuid,
    stage varchar(40) NOT NULL,
    event varchar(60) NOT NULL,
    level varchar(10) NOT NULL DEFAULT 'info' CHECK (level IN ('debug', 'info', 'warning', 'error')),
    namespace varchar(100),
    message text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition_key, id),
    CONSTRAINT record_key_is_the_cycle CHECK (partition_key = coalesce(cycle_id, id))
) PARTITION BY RANGE (partition_key);
-- Most records only inform; the index holds the others.
CREATE INDEX record_notable ON orbit_executionrecord (level, partition_key DESC, id DESC)
    WHERE level IN ('debug', 'warning', 'error');
"""

# A UUIDv7 starts with 48 bits of Unix milliseconds (RFC 9562, section 5.7): a month is a range of ids.
FUNCTION = """
CREATE FUNCTION orbit_uuid_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
CREATE FUNCTION orbit_ensure_partitions(first_month date, last_month date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    month date;
    parent text;
    part text;
    made integer := 0;
BEGIN
    IF last_month - first_month > 3700 THEN
        RAISE EXCEPTION 'at most ten years at once';
    END IF;
    FOR month IN SELECT d::date FROM generate_series(date_trunc('month', first_month), date_trunc('month', last_month), interval '1 month') AS d LOOP
        FOREACH parent IN ARRAY ARRAY['orbit_cyclecheckpoint', 'orbit_executionrecord'] LOOP
            part := parent || '_p' || to_char(month, 'YYYYMM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            PERFORM pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
            -- A query, not to_regclass again: what that has looked up before, an advisory lock does not refresh.
            CONTINUE WHEN EXISTS (SELECT 1 FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace);
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
                           orbit_uuid_floor(month::timestamp AT TIME ZONE 'UTC'),
                           orbit_uuid_floor((month + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
            EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', part);
            EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION orbit_refuse_change()', part);
            EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_truncate', part);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION orbit_ensure_partitions(date, date) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION orbit_ensure_partitions(date, date) FROM PUBLIC;
SELECT orbit_ensure_partitions((now() AT TIME ZONE 'UTC')::date - 31, (now() AT TIME ZONE 'UTC')::date + 366);
"""
DOCUMENTS = """
ALTER TABLE orbit_profile ADD CONSTRAINT profile_document_matches
    CHECK (document ->> 'profile_id' = profile_id AND document ->> 'state' = state AND document ->> 'label' = label);
ALTER TABLE orbit_runprofile ADD CONSTRAINT run_profile_document_matches
    CHECK (document ->> 'run_profile_id' = run_profile_id AND document ->> 'state' = state AND document ->> 'namespace' = namespace);
"""
UNDOCUMENTS = """
ALTER TABLE orbit_runprofile DROP CONSTRAINT run_profile_document_matches;
ALTER TABLE orbit_profile DROP CONSTRAINT profile_document_matches;
"""
UNFUNCTION = "DROP FUNCTION orbit_ensure_partitions(date, date); DROP FUNCTION orbit_uuid_floor(timestamptz);"


class Migration(migrations.Migration):
    dependencies = [
        ("orbit", "0001_initial"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.RunSQL(
            TABLES, "DROP TABLE orbit_executionrecord; DROP TABLE orbit_cyclecheckpoint;"
        ),
        refusing_function("orbit_refuse_change"),
        append_only("orbit_cyclecheckpoint", "orbit_refuse_change"),
        append_only("orbit_executionrecord", "orbit_refuse_change"),
        append_only("orbit_valueledgerentry", "orbit_refuse_change"),
        migrations.RunSQL(FUNCTION, UNFUNCTION),
        migrations.RunSQL(DOCUMENTS, UNDOCUMENTS),
        migrations.RunSQL(
            "INSERT INTO orbit_appliedfiles (id, sha256) VALUES (1, '');",
            "DELETE FROM orbit_appliedfiles;",
        ),
        # The queue's claim reads Django-Q2's table in the order of readiness.
        migrations.RunSQL(
            "CREATE INDEX orbit_queue_ready ON django_q_ormq (lock, id);",
            "DROP INDEX orbit_queue_ready;",
        ),
    ]
