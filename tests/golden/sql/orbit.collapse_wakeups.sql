WITH kept AS MATERIALIZED (SELECT id
FROM django_q_ormq
WHERE key = %(key)s
AND lock <= now()
ORDER BY lock, id
LIMIT %(kept)s), surplus AS MATERIALIZED (SELECT id
FROM django_q_ormq
WHERE key = %(key)s
AND lock <= now()
AND id <> ALL(ARRAY(SELECT id
FROM kept))
ORDER BY lock, id
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)
DELETE
FROM django_q_ormq AS q USING surplus
WHERE q.id = surplus.id
RETURNING q.id
