-- Lock a run that has finished long ago; from now on it can't be retried. Another process that
-- prunes it has it first.
-- params: id text, until timestamptz
UPDATE orbit_conductorrun
SET pruning_since = coalesce(pruning_since, clock_timestamp())
WHERE id = (
    SELECT id
    FROM orbit_conductorrun
    WHERE id = %(id)s AND finished_at <= %(until)s::timestamptz
    FOR UPDATE SKIP LOCKED
)
RETURNING finished_at
