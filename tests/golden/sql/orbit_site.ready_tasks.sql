SELECT count(*), coalesce(extract(epoch
FROM now() - min(lock)), 0)
FROM django_q_ormq
WHERE lock <= now()
