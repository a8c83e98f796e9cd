"""Rules of autonomy's actions that the database keeps, for superusers too: they stay on record as they were, and are reverted once."""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION advisory_check_autonomy() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reverting CONSTANT text[] := ARRAY['reverted_at', 'reverted_by', 'reverted_revision'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.reverted_at IS NOT NULL OR NEW.reverted_by <> '' OR NEW.reverted_revision IS NOT NULL THEN
            RAISE EXCEPTION 'An action of autonomy isn''t reverted when it is made.'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'autonomy_reverted_once';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF OLD.reverted_at IS NOT NULL OR NEW.reverted_at IS NULL OR NEW.reverted_by = '' OR NEW.reverted_revision IS NULL
        OR to_jsonb(NEW) - reverting IS DISTINCT FROM to_jsonb(OLD) - reverting THEN
        RAISE EXCEPTION 'The action % of autonomy stays as it is: it is only reverted, and once.', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'autonomy_reverted_once';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_keep_autonomy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What autonomy did stays on record: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION advisory_keep_autonomy();
DROP FUNCTION advisory_check_autonomy();
"""
# Triggers that replication doesn't switch off.
EVENTS = (
    ("check_autonomy", "BEFORE INSERT OR UPDATE", "ROW", "check_autonomy"),
    ("keep_delete", "BEFORE DELETE", "ROW", "keep_autonomy"),
    ("keep_truncate", "BEFORE TRUNCATE", "STATEMENT", "keep_autonomy"),
)
TRIGGERS = "".join(
    f"CREATE TRIGGER {name} {event} ON advisory_autonomyaction FOR EACH {each} "
    f"EXECUTE FUNCTION advisory_{function}();\n"
    f"ALTER TABLE advisory_autonomyaction ENABLE ALWAYS TRIGGER {name};\n"
    for name, event, each, function in EVENTS
)
NO_TRIGGERS = "".join(
    f"DROP TRIGGER {name} ON advisory_autonomyaction;\n" for name, _, _, _ in EVENTS
)


class Migration(migrations.Migration):
    dependencies = [("advisory", "0003_follow_up_rules")]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
