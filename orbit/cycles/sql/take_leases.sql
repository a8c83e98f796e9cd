-- Give the leases of the cycles in `due` to `owner`, for `seconds`.
-- params: owner text, seconds float8
UPDATE orbit_cyclerun c
SET fencing_token = c.fencing_token + 1,
    lease_owner = %(owner)s,
    lease_expires_at = now() + %(seconds)s * interval '1 second',
    next_due_at = now() + %(seconds)s * interval '1 second',   -- due again if the lease runs out
    status = CASE WHEN c.status = 'pending' THEN 'running' ELSE c.status END,
    started_at = coalesce(c.started_at, clock_timestamp()),
    resumes = least(c.resumes + due.ran_out::int, 30000)   -- a smallint
FROM due
WHERE c.id = due.id
RETURNING
    c.id, c.fencing_token, c.namespace, c.status, c.profile_id, c.run_profile_id,
    c.instruction_id, c.context, c.initiation_hash,
    -- a new cycle needs its input at once, a resumed one perhaps never; large ones are read later
    CASE WHEN c.fencing_token = 1 AND octet_length(c.input) <= {{small_input}} THEN c.input END,
    c.input_content_type, c.requeues, c.resumes, due.ran_out, c.takeover, c.traceparent
