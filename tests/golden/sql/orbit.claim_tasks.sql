UPDATE django_q_ormq AS q
SET lock = now() + %(seconds)s * interval '1 second'
FROM (SELECT task.id
FROM unnest(%(keys)s::text[]) AS kind(key) CROSS
JOIN LATERAL (SELECT id, lock
FROM django_q_ormq
WHERE key = kind.key
AND lock <= now()
ORDER BY lock, id
LIMIT %(limit)s + 32) AS ready
JOIN django_q_ormq AS task ON task.id = ready.id
WHERE task.lock <= now()
ORDER BY ready.lock, ready.id
LIMIT %(limit)s
FOR
UPDATE OF task SKIP LOCKED) AS c CROSS
JOIN (SELECT set_config('synchronous_commit', 'off', true)) AS quick
WHERE q.id = c.id
RETURNING q.id, q.payload
