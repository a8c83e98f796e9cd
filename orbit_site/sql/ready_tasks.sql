-- The number of queue tasks that are ready, and for how many seconds the oldest has been ready.
SELECT count(*), coalesce(extract(epoch FROM now() - min(lock)), 0)
FROM django_q_ormq
WHERE lock <= now()
