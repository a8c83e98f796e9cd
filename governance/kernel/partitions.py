"""Migration operations for partitioned tables.

Partitions are made beside writers. The DEFAULT partition ``<table>_default`` takes the rows that
have no partition of their own; making that partition moves them there.
"""

from django.db.migrations.operations import RunSQL

# A partition is made as a table and then attached: CREATE TABLE ... PARTITION OF would lock the
# parent against writers, and queue behind a dump. ATTACH locks the DEFAULT partition alone. Other
# sessions wait behind one that waits for that lock, so it waits for 50 ms at most; the caller tries
# again later.
#
# It runs with its caller's rights: only the owner's functions that call it can use it.
MAKE = """
CREATE FUNCTION {prefix}_make_partition(parent text, part text, low text, high text, most integer)
RETURNS integer LANGUAGE plpgsql SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
    spare CONSTANT text := parent || '_default';
    refuse CONSTANT regproc := (
        SELECT tgfoid FROM pg_trigger
        WHERE tgrelid = parent::regclass AND tgname = 'append_only_truncate');
    key text;
    kind text;
    slices integer;
    bound text;
    covered boolean;
BEGIN
    SELECT a.attname, format_type(a.atttypid, NULL) INTO STRICT key, kind
    FROM pg_partitioned_table t
    JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
    WHERE t.partrelid = parent::regclass;
    -- A range with many rows in the default gets several partitions: begin after the last one.
    SELECT
        count(*),
        (array_agg(
            pg_get_expr(c.relpartbound, c.oid) ORDER BY length(c.relname) DESC, c.relname DESC
        ))[1]
    INTO slices, bound
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass
      AND c.relname ~ ('^' || part || '(_[0-9]+)?$');
    IF slices > 0 THEN
        low := substring(bound FROM $bound$TO \\('([^']+)'\\)$bound$);
        part := part || '_' || slices + 1;
    END IF;
    EXECUTE format('SELECT %L::%s >= %L::%s', low, kind, high, kind) INTO covered;
    IF covered THEN
        RETURN 0;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
    IF to_regclass(spare) IS NOT NULL THEN
        high := {prefix}_move_from_default(spare, part, key, low, high, most, refuse IS NOT NULL);
    END IF;
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, low, high);
    IF refuse IS NOT NULL THEN
        PERFORM {prefix}_protect_partition(part, refuse);
    END IF;
    RETURN 1;
END $$;

-- Move the rows from `low` to `high` to the table `part`, at most about `most` of them. Returns
-- where they end.
CREATE FUNCTION {prefix}_move_from_default(
    spare text, part text, key text, low text, high text, most integer, append_only boolean)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    first_key text;
    cut text;
BEGIN
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', spare);
    -- More rows: the partition ends before the next key, and another one follows.
    EXECUTE format(
        'SELECT %1$I::text FROM %2$I WHERE %1$I >= %3$L AND %1$I < %4$L '
        'ORDER BY %1$I OFFSET %5$s LIMIT 1', key, spare, low, high, most) INTO cut;
    IF cut IS NOT NULL THEN
        EXECUTE format(
            'SELECT %1$I::text FROM %2$I WHERE %1$I >= %3$L ORDER BY %1$I LIMIT 1', key, spare, low
        ) INTO first_key;
        IF cut = first_key THEN   -- rows with one key stay together
            EXECUTE format(
                'SELECT %1$I::text FROM %2$I WHERE %1$I > %3$L AND %1$I < %4$L '
                'ORDER BY %1$I LIMIT 1', key, spare, first_key, high) INTO cut;
        END IF;
        high := coalesce(cut, high);
    END IF;
    EXECUTE format(
        'INSERT INTO %2$I SELECT * FROM %3$I WHERE %1$I >= %4$L AND %1$I < %5$L',
        key, part, spare, low, high);
    -- The table is locked, so no other session can use that its trigger is off until the commit.
    IF append_only THEN
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER append_only_rows', spare);
    END IF;
    EXECUTE format('DELETE FROM %2$I WHERE %1$I >= %3$L AND %1$I < %4$L', key, spare, low, high);
    IF append_only THEN
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', spare);
    END IF;
    RETURN high;
END $$;

-- Triggers for rows come with the parent; what TRUNCATE fires, and ALWAYS, does not.
CREATE FUNCTION {prefix}_protect_partition(part text, refuse regproc)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', part);
    EXECUTE format(
        'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I '
        'FOR EACH STATEMENT EXECUTE FUNCTION %s()', part, refuse);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_truncate', part);
END $$;
"""
UNMAKE = """
DROP FUNCTION {prefix}_make_partition(text, text, text, text, integer);
DROP FUNCTION {prefix}_move_from_default(text, text, text, text, text, integer, boolean);
DROP FUNCTION {prefix}_protect_partition(text, regproc);
"""

# ATTACH, as above: no writer waits for this migration.
DEFAULT = """
CREATE TABLE {table}_default (LIKE {table} INCLUDING ALL);
ALTER TABLE {table} ATTACH PARTITION {table}_default DEFAULT;
"""
DROP_DEFAULT = """
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM {table}_default) THEN
        RAISE EXCEPTION '{table}_default has rows that belong to no partition';
    END IF;
END $$;
DROP TABLE {table}_default;
"""


def make_partition(prefix: str) -> RunSQL:
    """Return the operation that creates ``<prefix>_make_partition``."""
    return RunSQL(MAKE.format(prefix=prefix), UNMAKE.format(prefix=prefix))


def default_partition(table: str) -> RunSQL:
    """Return the operation that gives ``table`` a DEFAULT partition."""
    return RunSQL(DEFAULT.format(table=table), DROP_DEFAULT.format(table=table))
