"""A migration operation that makes a table append-only in the database."""

from django.db.migrations.operations import RunSQL

FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""

# ENABLE ALWAYS, so that session_replication_role doesn't switch them off. TRUNCATE of a partition
# doesn't fire its parent's triggers: the functions that create partitions add them.
TRIGGERS = """
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_truncate;
"""

REVERSE = """
DROP TRIGGER append_only_rows ON {table};
DROP TRIGGER append_only_truncate ON {table};
"""


def refusing_function(function: str) -> RunSQL:
    """Return the operation that creates the triggers' ``function``."""
    return RunSQL(FUNCTION.format(function=function), f"DROP FUNCTION {function}() CASCADE;")


def append_only(table: str, function: str) -> RunSQL:
    """Return the operation that makes ``table`` append-only."""
    return RunSQL(TRIGGERS.format(table=table, function=function), REVERSE.format(table=table))
