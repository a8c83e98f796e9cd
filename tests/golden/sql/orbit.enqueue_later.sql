INSERT INTO django_q_ormq (key, payload, lock)
SELECT %(key)s, %(payload)s, %(at)s
WHERE NOT EXISTS (SELECT 1
FROM django_q_ormq
WHERE key = %(key)s
AND lock > %(at)s - interval '1 second'
AND lock <= %(at)s)
RETURNING id
