"""The projection refuses writes of everyone who doesn't say that they are its updater."""

from django.db import migrations

GUARD = """
CREATE FUNCTION telemetry_guard_projection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The updater sets it for its transaction (SET LOCAL).
    IF current_setting('orbit.projection_updater', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'telemetry_taskprojection is a read model: % is refused. It follows from events; '
        'send a task_start, task_end or decision instead', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER read_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON telemetry_taskprojection
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry_guard_projection();
ALTER TABLE telemetry_taskprojection ENABLE ALWAYS TRIGGER read_only;
"""
UNGUARD = """
DROP TRIGGER read_only ON telemetry_taskprojection;
DROP FUNCTION telemetry_guard_projection();
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0004_tables")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
