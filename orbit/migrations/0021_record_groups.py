"""Execution records that one statement writes together are one row; a view reads as before.

``orbit_recordgroup`` is the table of records under a new name, with a column for many of them.
``orbit_executionrecord`` is a view of it. An old release that still runs writes through the view.
"""

from typing import Any

from django.core.management.base import CommandError
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VIEWS_OF_OTHERS = """
SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ')
FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass
  AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid IN (
      SELECT 'orbit_executionrecord'::regclass
      UNION ALL
      SELECT inhrelid FROM pg_inherits WHERE inhparent = 'orbit_executionrecord'::regclass)
"""


def refuse_views(_: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Raise CommandError if a view reads the table.

    It would follow the table to its new name, and read a group as a record without an event.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(VIEWS_OF_OTHERS)
        (names,) = cursor.fetchone()
    if names:
        raise CommandError(
            f"orbit_executionrecord becomes a view, but views of yours read the table: {names}. "
            "Drop them, migrate, and create them again."
        )


# Only names and rules change: no row is written or read.
GROUPS = """
-- Others queue behind this while it waits for a reader, such as a backup: at most half a second.
DO $$
DECLARE
    is_vacuumed boolean;
BEGIN
    FOR attempt IN 1 .. 60 LOOP
        SELECT EXISTS (
            SELECT 1 FROM pg_locks
            WHERE granted AND mode = 'ShareUpdateExclusiveLock'
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND relation IN (
                  SELECT inhrelid FROM pg_inherits
                  WHERE inhparent = 'orbit_executionrecord'::regclass)
        ) INTO is_vacuumed;
        BEGIN
            -- An autovacuum may take hours. It ends for a session that has waited deadlock_timeout.
            PERFORM set_config('lock_timeout', '500ms', true);
            IF is_vacuumed THEN
                PERFORM set_config('lock_timeout', round(500 + 1000 * extract(
                    epoch FROM current_setting('deadlock_timeout')::interval))::text, true);
            END IF;
            -- Before the table: no other session makes a partition until the commit.
            PERFORM pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
            LOCK TABLE orbit_executionrecord IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF attempt = 60 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(1);
        END;
    END LOOP;
END $$;
ALTER TABLE orbit_executionrecord
    ADD COLUMN records jsonb,
    ALTER COLUMN stage DROP NOT NULL,
    ALTER COLUMN event DROP NOT NULL,
    ALTER COLUMN message DROP NOT NULL,
    ALTER COLUMN message DROP DEFAULT,
    ALTER COLUMN data DROP NOT NULL,
    ALTER COLUMN data DROP DEFAULT,
    -- The next migration validates it: that reads all rows, and needs a weaker lock.
    ADD CONSTRAINT record_or_group CHECK (
        CASE
            WHEN records IS NULL THEN num_nulls(stage, event, message, data) = 0
            -- One row that the view can't expand would stop all that read it.
            ELSE num_nonnulls(stage, event, message, data) = 0 AND cycle_id IS NOT NULL
                AND jsonb_typeof(records -> 0) IS NOT DISTINCT FROM 'array'
        END
    ) NOT VALID;
"""
UNGROUPS = """
SELECT pg_advisory_xact_lock(hashtext('orbit_ensure_partitions'));
LOCK TABLE orbit_recordgroup IN ACCESS EXCLUSIVE MODE;
-- Each record of a group becomes a row. The table is locked, so no other session can use that its
-- triggers are off.
DO $$
DECLARE
    parts CONSTANT regclass[] := ARRAY(SELECT relid FROM pg_partition_tree('orbit_recordgroup'));
    part regclass;
BEGIN
    FOREACH part IN ARRAY parts LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only_rows', part);
    END LOOP;
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data, created_at)
    SELECT
        v.id, v.partition_key, v.cycle_id, v.stage, v.event, v.level, v.namespace, v.message,
        v.data, v.created_at
    FROM orbit_recordgroup g
    JOIN orbit_executionrecord v
        ON v.partition_key = g.partition_key AND left(v.id::text, 32) = left(g.id::text, 32)
    WHERE g.records IS NOT NULL;
    DELETE FROM orbit_recordgroup WHERE records IS NOT NULL;
    FOREACH part IN ARRAY parts LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_rows', part);
    END LOOP;
END $$;
DROP VIEW orbit_executionrecord;
DROP FUNCTION orbit_insert_record();
DROP FUNCTION orbit_record_id(uuid, bigint);
ALTER TABLE orbit_recordgroup
    DROP CONSTRAINT record_or_group,
    DROP COLUMN records,
    ALTER COLUMN stage SET NOT NULL,
    ALTER COLUMN event SET NOT NULL,
    ALTER COLUMN message SET NOT NULL,
    ALTER COLUMN message SET DEFAULT '',
    ALTER COLUMN data SET NOT NULL,
    ALTER COLUMN data SET DEFAULT '{}';
"""

# The table, its partitions, their indexes and constraints; and the functions that name them.
RENAME = """
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT c.conrelid::regclass AS place, c.conname AS name
        FROM pg_constraint c
        WHERE c.conrelid = 'BEFORE'::regclass AND starts_with(c.conname, 'BEFORE')
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I',
            one.place, one.name, replace(one.name, 'BEFORE', 'AFTER'));
    END LOOP;
    FOR one IN
        SELECT i.indexrelid::regclass AS place, c.relname AS name
        FROM pg_partition_tree('BEFORE') t
        JOIN pg_index i ON i.indrelid = t.relid
        JOIN pg_class c ON c.oid = i.indexrelid
        WHERE starts_with(c.relname, 'BEFORE')
    LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I',
            one.place, replace(one.name, 'BEFORE', 'AFTER'));
    END LOOP;
    FOR one IN
        SELECT c.oid::regclass AS place, c.relname AS name
        FROM pg_partition_tree('BEFORE') t
        JOIN pg_class c ON c.oid = t.relid
        WHERE starts_with(c.relname, 'BEFORE')
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME TO %I',
            one.place, replace(one.name, 'BEFORE', 'AFTER'));
    END LOOP;
    FOR one IN
        SELECT pg_get_functiondef(f) AS text
        FROM unnest(ARRAY[
            'orbit_ensure_partitions(date, date)', 'orbit_empty_default()',
            'orbit_partition_states()', 'orbit_drop_month(text, date)'
        ]::regprocedure[]) AS f
    LOOP
        EXECUTE replace(one.text, 'BEFORE', 'AFTER');
    END LOOP;
END $$;
"""
# What roles of others may read and write under the old name, they may under the new one: reports,
# for example. The owner's own rights are those of all its tables.
GRANT = """
DO $$
DECLARE
    rights text;
BEGIN
    FOR rights IN
        SELECT format('GRANT %s%s ON AFTER TO %s%s',
            a.privilege_type, ' (' || quote_ident(g.attname) || ')',
            CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM (
            SELECT NULL AS attname, relacl AS acl FROM pg_class WHERE oid = 'BEFORE'::regclass
            UNION ALL
            SELECT attname, attacl FROM pg_attribute
            WHERE attrelid = 'BEFORE'::regclass AND attname <> 'records'
        ) g
        CROSS JOIN aclexplode(g.acl) a
        JOIN pg_class c ON c.oid = 'BEFORE'::regclass
        WHERE a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT')
    LOOP
        EXECUTE rights;
    END LOOP;
END $$;
"""
TABLE, VIEW = "orbit_recordgroup", "orbit_executionrecord"
TO_TABLE = RENAME.replace("BEFORE", VIEW).replace("AFTER", TABLE)
TO_VIEW = RENAME.replace("BEFORE", TABLE).replace("AFTER", VIEW)
GRANT_ON_VIEW = GRANT.replace("BEFORE", TABLE).replace("AFTER", VIEW)
GRANT_ON_TABLE = GRANT.replace("BEFORE", VIEW).replace("AFTER", TABLE)

READ = """
-- The id of a record of a group: the group's id ends in 16 zero bits, and the place goes there.
CREATE FUNCTION orbit_record_id(group_id uuid, place bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (left(group_id::text, 32) || lpad(to_hex(place), 4, '0'))::uuid
$$;
-- One branch, so that conditions on the table's own columns go by its indexes.
CREATE VIEW orbit_executionrecord AS
SELECT
    CASE WHEN g.records IS NULL THEN g.id ELSE orbit_record_id(g.id, r.place) END AS id,
    g.partition_key,
    g.cycle_id,
    coalesce(g.stage, r.record ->> 0) AS stage,
    coalesce(g.event, r.record ->> 1) AS event,
    g.level,
    g.namespace,
    coalesce(g.message, r.record ->> 3, '') AS message,
    coalesce(g.data, r.record -> 2, '{}') AS data,
    g.created_at
FROM orbit_recordgroup g
LEFT JOIN LATERAL jsonb_array_elements(g.records) WITH ORDINALITY AS r(record, place) ON true;
CREATE FUNCTION orbit_insert_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data, created_at)
    VALUES (
        NEW.id, NEW.partition_key, NEW.cycle_id, NEW.stage, NEW.event, coalesce(NEW.level, 'info'),
        NEW.namespace, coalesce(NEW.message, ''), coalesce(NEW.data, '{}'),
        coalesce(NEW.created_at, clock_timestamp()))
    -- As the statements say that may write a record again. The trigger can't see what they say.
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER single_records INSTEAD OF INSERT ON orbit_executionrecord
    FOR EACH ROW EXECUTE FUNCTION orbit_insert_record();
CREATE TRIGGER append_only_rows INSTEAD OF UPDATE OR DELETE ON orbit_executionrecord
    FOR EACH ROW EXECUTE FUNCTION orbit_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("orbit", "0020_outputs_that_are_the_input")]
    operations = [
        # Backwards, the names change last.
        migrations.RunPython(refuse_views, migrations.RunPython.noop),
        migrations.RunSQL(GROUPS, migrations.RunSQL.noop),
        migrations.RunSQL(TO_TABLE, TO_VIEW),
        migrations.RunSQL(READ + GRANT_ON_VIEW, GRANT_ON_TABLE + UNGROUPS),
    ]
