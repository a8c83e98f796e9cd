INSERT INTO advisory_strategyproposal (id, profile_id, run_profile_id, namespace, base_revision, patch, title, rationale, evidence, forecast, rule, signal_id, author, author_user, requested_by, state, fingerprint, required_approvals, expires_at, end_reason)
SELECT given.id, given.profile_id, given.run_profile_id, given.namespace, given.base_revision, given.patch, given.title, given.rationale, given.evidence, given.forecast, given.rule, given.signal_id, given.author, given.author_user, given.requested_by, 'pending', given.fingerprint, given.required_approvals, now() + given.expires_after_hours * interval '1 hour', ''
FROM jsonb_to_recordset(%(proposals)s::jsonb) AS given (id uuid, profile_id text, run_profile_id text, namespace text, base_revision integer, patch jsonb, title text, rationale text, evidence jsonb, forecast jsonb, rule text, signal_id uuid, author text, author_user bigint, requested_by text, fingerprint text, required_approvals smallint, expires_after_hours integer)
ORDER BY given.fingerprint
ON CONFLICT (fingerprint)
WHERE state = 'pending' DO NOTHING
RETURNING id
