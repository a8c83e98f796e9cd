-- Claim tasks that are ready, oldest first. If the claimer dies they are ready again in `seconds`.
-- The commit doesn't wait for the disk: a claim that a server's crash undoes is made again.
-- params: seconds float8, keys text[], limit int
UPDATE django_q_ormq AS q
SET lock = now() + %(seconds)s * interval '1 second'
FROM (
    SELECT task.id
    FROM unnest(%(keys)s::text[]) AS kind(key)
    CROSS JOIN LATERAL (   -- of each kind the first few: a backlog of one isn't read for the other
        SELECT id, lock
        FROM django_q_ormq
        WHERE key = kind.key
          AND lock <= now()   -- not clock_timestamp(): a volatile function can't bound a scan
        ORDER BY lock, id
        LIMIT %(limit)s + {{others}}   -- other workers may be claiming as many
    ) AS ready
    JOIN django_q_ormq AS task ON task.id = ready.id
    WHERE task.lock <= now()   -- again, under its lock
    ORDER BY ready.lock, ready.id
    LIMIT %(limit)s
    FOR UPDATE OF task SKIP LOCKED
) AS c
CROSS JOIN (SELECT set_config('synchronous_commit', 'off', true)) AS quick
WHERE q.id = c.id
RETURNING q.id, q.payload
