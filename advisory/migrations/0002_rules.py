"""Rules of decisions that the database keeps, for superusers too: four eyes, quorum, expiry, and that nothing on record changes."""

from django.db import migrations

from governance.kernel.append_only import append_only, refusing_function

# The triggers repeat what `session_replication_role = replica` switches off, such as foreign keys.
# They take the time from the server: no process with a wrong clock decides after the end.
FUNCTIONS = """
CREATE FUNCTION advisory_check_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    proposal record;
    reviewer record;
BEGIN
    -- The lock: of a decision and an end of the proposal, one waits for the other.
    SELECT p.state, p.author, p.author_user, p.expires_at INTO proposal
    FROM advisory_strategyproposal p WHERE p.id = NEW.proposal_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no proposal %, so no one can decide it.', NEW.proposal_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'decision_proposal';
    END IF;
    IF proposal.state <> 'pending' THEN
        RAISE EXCEPTION 'The proposal % is % already, so no one can decide it any more.', NEW.proposal_id, proposal.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_of_pending';
    END IF;
    IF proposal.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'The time to decide the proposal % ended at %.', NEW.proposal_id, proposal.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_in_time';
    END IF;
    IF NEW.author IS DISTINCT FROM proposal.author THEN
        RAISE EXCEPTION 'The author of the proposal % is %, and a decision can''t name another one.', NEW.proposal_id, proposal.author
            USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_author';
    END IF;
    NEW.author_user := proposal.author_user;
    IF NEW.decided_by_user IS NULL THEN
        -- As governance/access/actors.py names them. No user can have such a name.
        IF NEW.decided_by !~ '^command:.' THEN
            RAISE EXCEPTION 'A decision needs the id of its user, but % has none: only commands decide without one.', NEW.decided_by
                USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_user';
        END IF;
    ELSE
        SELECT u.username, u.is_active INTO reviewer FROM auth_user u WHERE u.id = NEW.decided_by_user;
        IF NOT FOUND OR NOT reviewer.is_active OR reviewer.username <> NEW.decided_by THEN
            RAISE EXCEPTION 'There is no active user % with the id %, so no one makes this decision.', NEW.decided_by, NEW.decided_by_user
                USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_user';
        END IF;
    END IF;
    NEW.decided_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_check_proposal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    policy record;
BEGIN
    IF NEW.state <> 'pending' THEN
        RAISE EXCEPTION 'A proposal begins as pending, not as %.', NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_begins_pending';
    END IF;
    -- The strictest policy of all namespaces that the change reaches: no one gets round it by
    -- proposing elsewhere. (greatest and least ignore NULL.)
    SELECT max(a.required_approvals) AS approvals, min(a.expires_after_hours) AS hours INTO policy
    FROM advisory_approvalpolicy a
    WHERE a.namespace = NEW.namespace
       OR a.namespace IN (
            SELECT r.namespace
            FROM orbit_runprofile r
            JOIN orbit_profile d ON d.id = r.profile_id
            WHERE NOT r.hidden
              AND CASE WHEN NEW.run_profile_id IS NULL THEN d.profile_id = NEW.profile_id
                       ELSE r.run_profile_id = NEW.run_profile_id END
       );
    NEW.required_approvals := greatest(NEW.required_approvals, policy.approvals);
    NEW.expires_at := least(NEW.expires_at, clock_timestamp() + make_interval(hours => policy.hours));
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_check_proposal_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving CONSTANT text[] := ARRAY['state', 'ended_at', 'end_reason', 'applied_revision'];
    approvals integer;
    rejections integer;
BEGIN
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF OLD.state <> 'pending' THEN
        RAISE EXCEPTION 'The proposal % is %, and that is final.', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_end_is_final';
    END IF;
    IF NEW.state = 'pending' OR to_jsonb(NEW) - moving IS DISTINCT FROM to_jsonb(OLD) - moving THEN
        RAISE EXCEPTION 'What the proposal % says can''t be changed. Make a new one.', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_is_kept';
    END IF;
    SELECT count(*) FILTER (WHERE d.verdict = 'approve'), count(*) FILTER (WHERE d.verdict = 'reject')
    INTO approvals, rejections
    FROM advisory_proposaldecision d WHERE d.proposal_id = OLD.id;
    IF NEW.state = 'approved' AND (approvals < OLD.required_approvals OR rejections > 0) THEN
        RAISE EXCEPTION 'The proposal % has % of % approvals and % rejections, so it isn''t approved.', OLD.id, approvals, OLD.required_approvals, rejections
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_approvals';
    END IF;
    IF NEW.state = 'approved' AND OLD.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'The time to decide the proposal % ended at %.', OLD.id, OLD.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'decision_in_time';
    END IF;
    IF NEW.state = 'approved' AND NOT (NEW.applied_revision IS NOT DISTINCT FROM OLD.base_revision + 1 AND CASE
        WHEN OLD.run_profile_id IS NULL THEN EXISTS (
            SELECT FROM orbit_profilerevision r JOIN orbit_profile d ON d.id = r.profile_id
            WHERE d.profile_id = OLD.profile_id AND r.number = NEW.applied_revision AND r.source = 'proposal')
        ELSE EXISTS (
            SELECT FROM orbit_runprofilerevision r JOIN orbit_runprofile d ON d.id = r.run_profile_id
            WHERE d.run_profile_id = OLD.run_profile_id AND r.number = NEW.applied_revision AND r.source = 'proposal')
    END) THEN
        RAISE EXCEPTION 'The proposal % was made against revision %, and no revision by a proposal follows that one, so it isn''t approved.', OLD.id, OLD.base_revision
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_revision';
    END IF;
    IF NEW.state = 'rejected' AND rejections = 0 THEN
        RAISE EXCEPTION 'No one has rejected the proposal %, so it isn''t rejected.', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_rejection';
    END IF;
    IF NEW.state = 'expired' AND (OLD.expires_at <= clock_timestamp()) IS NOT TRUE THEN
        RAISE EXCEPTION 'The time to decide the proposal % isn''t over, so it hasn''t expired.', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_expiry';
    END IF;
    NEW.ended_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION advisory_keep_proposals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Proposals stay on record: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- Tables that a session has put before ours on its path aren't asked.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['check_decision', 'check_proposal', 'check_proposal_move'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', 'advisory_' || name, current_schema());
    END LOOP;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION advisory_keep_proposals();
DROP FUNCTION advisory_check_proposal_move();
DROP FUNCTION advisory_check_proposal();
DROP FUNCTION advisory_check_decision();
"""

TRIGGERS = """
ALTER TABLE advisory_proposaldecision ADD CONSTRAINT decision_author
    FOREIGN KEY (proposal_id, author) REFERENCES advisory_strategyproposal (id, author);
CREATE TRIGGER check_decision BEFORE INSERT ON advisory_proposaldecision
    FOR EACH ROW EXECUTE FUNCTION advisory_check_decision();
CREATE TRIGGER check_proposal BEFORE INSERT ON advisory_strategyproposal
    FOR EACH ROW EXECUTE FUNCTION advisory_check_proposal();
CREATE TRIGGER check_proposal_move BEFORE UPDATE ON advisory_strategyproposal
    FOR EACH ROW EXECUTE FUNCTION advisory_check_proposal_move();
CREATE TRIGGER keep_proposals BEFORE DELETE ON advisory_strategyproposal
    FOR EACH ROW EXECUTE FUNCTION advisory_keep_proposals();
CREATE TRIGGER keep_proposals_truncate BEFORE TRUNCATE ON advisory_strategyproposal
    FOR EACH STATEMENT EXECUTE FUNCTION advisory_keep_proposals();
ALTER TABLE advisory_proposaldecision ENABLE ALWAYS TRIGGER check_decision;
ALTER TABLE advisory_strategyproposal ENABLE ALWAYS TRIGGER check_proposal;
ALTER TABLE advisory_strategyproposal ENABLE ALWAYS TRIGGER check_proposal_move;
ALTER TABLE advisory_strategyproposal ENABLE ALWAYS TRIGGER keep_proposals;
ALTER TABLE advisory_strategyproposal ENABLE ALWAYS TRIGGER keep_proposals_truncate;
"""
NO_TRIGGERS = """
DROP TRIGGER keep_proposals_truncate ON advisory_strategyproposal;
DROP TRIGGER keep_proposals ON advisory_strategyproposal;
DROP TRIGGER check_proposal_move ON advisory_strategyproposal;
DROP TRIGGER check_proposal ON advisory_strategyproposal;
DROP TRIGGER check_decision ON advisory_proposaldecision;
ALTER TABLE advisory_proposaldecision DROP CONSTRAINT decision_author;
"""
REFUSE = "advisory_refuse_change"


class Migration(migrations.Migration):
    dependencies = [("advisory", "0001_initial"), ("orbit", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        refusing_function(REFUSE),
        append_only("advisory_proposaldecision", REFUSE),
        append_only("advisory_advisorysignal", REFUSE),
        append_only("advisory_signalcomputation", REFUSE),
    ]
