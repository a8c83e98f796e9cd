SELECT id, name, cron, repeats, CASE WHEN next_run IS NOT NULL THEN least(greatest(next_run, to_timestamp(0)), to_timestamp(250000000000)) END, kwargs
FROM django_q_schedule
WHERE id = %(id)s
FOR
UPDATE
