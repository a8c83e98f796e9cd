-- Claim tasks that are ready, oldest first. If the claimer dies they are ready again in `seconds`.
-- params: seconds float8, keys text[], limit int
UPDATE django_q_ormq AS q
SET lock = now() + %(seconds)s * interval '1 second'
FROM (
    SELECT id
    FROM django_q_ormq
    WHERE key = ANY(%(keys)s)
      AND lock <= now()   -- not clock_timestamp(): a volatile function can't bound an index scan
    ORDER BY lock, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS c
WHERE q.id = c.id
RETURNING q.id, q.payload
