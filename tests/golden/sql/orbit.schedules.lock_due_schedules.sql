SELECT id, name, cron, repeats, CASE WHEN next_run IS NOT NULL THEN least(greatest(next_run, to_timestamp(0)), to_timestamp(250000000000)) END, kwargs, coalesce(%(now)s, now())
FROM django_q_schedule
WHERE func = %(func)s
AND repeats <> 0
AND (next_run IS NULL
OR next_run <= coalesce(%(now)s, now()))
AND id <> ALL(%(broken)s::int[])
ORDER BY id
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED
