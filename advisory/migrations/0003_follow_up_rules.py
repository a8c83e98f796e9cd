"""Rules of what follows an approval that the database keeps, for superusers too: a probation and a track record end once, stay on record, and no author confirms their own change."""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION advisory_check_probation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    proposal record;
BEGIN
    SELECT p.state, p.base_revision, p.applied_revision INTO proposal
    FROM advisory_strategyproposal p WHERE p.id = NEW.proposal_id;
    IF NOT FOUND OR proposal.state <> 'approved' OR NEW.status <> 'running'
        OR NEW.applied_revision <> proposal.applied_revision OR NEW.fallback_revision <> proposal.base_revision THEN
        RAISE EXCEPTION 'Only the revision of an approved proposal begins a probation, and % has none such.', NEW.proposal_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'probation_of_approved';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_check_probation_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving CONSTANT text[] := ARRAY['status', 'ended_at', 'ended_by', 'ended_by_user', 'end_reason', 'made_revision'];
    proposal record;
    reviewer record;
BEGIN
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF OLD.status <> 'running' OR NEW.status = 'running' OR to_jsonb(NEW) - moving IS DISTINCT FROM to_jsonb(OLD) - moving THEN
        RAISE EXCEPTION 'The probation of % is %: it only ends, and once.', OLD.proposal_id, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'probation_ends_once';
    END IF;
    IF NEW.status = 'confirmed' THEN
        SELECT p.author, p.author_user INTO proposal FROM advisory_strategyproposal p WHERE p.id = OLD.proposal_id;
        IF NEW.ended_by = proposal.author OR NEW.ended_by_user = proposal.author_user OR NEW.end_reason = '' THEN
            RAISE EXCEPTION '% wrote the proposal % or gives no reason, so they don''t confirm it.', NEW.ended_by, OLD.proposal_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'probation_four_eyes';
        END IF;
        IF NEW.ended_by_user IS NULL THEN
            -- As governance/access/actors.py names them. No user can have such a name.
            IF NEW.ended_by !~ '^command:.' THEN
                RAISE EXCEPTION 'A confirmation needs the id of its user, but % has none: only commands confirm without one.', NEW.ended_by
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'probation_user';
            END IF;
        ELSE
            SELECT u.username, u.is_active INTO reviewer FROM auth_user u WHERE u.id = NEW.ended_by_user;
            IF NOT FOUND OR NOT reviewer.is_active OR reviewer.username <> NEW.ended_by THEN
                RAISE EXCEPTION 'There is no active user % with the id %, so no one confirms this.', NEW.ended_by, NEW.ended_by_user
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'probation_user';
            END IF;
        END IF;
    END IF;
    NEW.ended_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_check_track_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving CONSTANT text[] := ARRAY['status', 'ended_at', 'measured', 'reason'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'waiting' THEN
            RAISE EXCEPTION 'A track record begins as waiting, not as %.', NEW.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'track_record_begins_waiting';
        END IF;
    ELSIF NEW IS DISTINCT FROM OLD AND (OLD.status <> 'waiting' OR NEW.status = 'waiting'
        OR to_jsonb(NEW) - moving IS DISTINCT FROM to_jsonb(OLD) - moving) THEN
        RAISE EXCEPTION 'The track record of % is %: it only ends, and once.', OLD.proposal_id, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'track_record_ends_once';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_keep_follow_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What followed an approval stays on record: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- Tables that a session has put before ours on its path aren't asked.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['check_probation', 'check_probation_end', 'check_track_record'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', 'advisory_' || name, current_schema());
    END LOOP;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION advisory_keep_follow_up();
DROP FUNCTION advisory_check_track_record();
DROP FUNCTION advisory_check_probation_end();
DROP FUNCTION advisory_check_probation();
"""

# Triggers that replication doesn't switch off.
EVENTS = (
    ("check_probation", "BEFORE INSERT ON advisory_probation FOR EACH ROW", "check_probation"),
    ("check_probation_end", "BEFORE UPDATE ON advisory_probation FOR EACH ROW", "check_probation_end"),
    ("check_track_record", "BEFORE INSERT OR UPDATE ON advisory_trackrecord FOR EACH ROW", "check_track_record"),
    *(
        (f"keep_{what.lower()}", f"BEFORE {what} ON {table} FOR EACH {each}", "keep_follow_up")
        for table in ("advisory_probation", "advisory_trackrecord")
        for what, each in (("DELETE", "ROW"), ("TRUNCATE", "STATEMENT"))
    ),
)


def table_of(event: str) -> str:
    return event.split(" ON ")[1].split()[0]


TRIGGERS = "".join(
    f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION advisory_{function}();\n"
    f"ALTER TABLE {table_of(event)} ENABLE ALWAYS TRIGGER {name};\n"
    for name, event, function in EVENTS
)
NO_TRIGGERS = "".join(f"DROP TRIGGER {name} ON {table_of(event)};\n" for name, event, _ in EVENTS)


class Migration(migrations.Migration):
    dependencies = [("advisory", "0002_rules"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
