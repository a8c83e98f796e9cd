-- Lock a run that has finished long ago. Another process that prunes it, or retries a task of it,
-- has it first.
-- params: id text, until timestamptz
SELECT id
FROM orbit_conductorrun
WHERE id = %(id)s AND finished_at <= %(until)s::timestamptz
FOR UPDATE SKIP LOCKED
