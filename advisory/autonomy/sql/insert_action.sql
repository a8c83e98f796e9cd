-- Record an action with the next number of its policy's day; no row if the day's are used up.
-- params: id uuid, policy text, document jsonb, profile_id text, run_profile_id text
-- params: namespace text, signal uuid, base_revision int, made_revision int, reason text, most int
INSERT INTO advisory_autonomyaction (
    id, policy, document, profile_id, run_profile_id, namespace, signal_id, day, number,
    base_revision, made_revision, reason, reverted_by
)
SELECT
    %(id)s, %(policy)s, %(document)s, %(profile_id)s, %(run_profile_id)s, %(namespace)s,
    %(signal)s, today.day, used.number + 1, %(base_revision)s, %(made_revision)s, %(reason)s, ''
FROM (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day) today
CROSS JOIN LATERAL (
    SELECT coalesce(max(a.number), 0) AS number
    FROM advisory_autonomyaction a
    WHERE a.policy = %(policy)s AND a.day = today.day
) used
WHERE used.number < %(most)s
RETURNING id
