UPDATE django_q_schedule
SET cron = %(cron)s, repeats = %(repeats)s, kwargs = %(kwargs)s, next_run = CASE WHEN %(moved)s THEN NULL ELSE next_run END
WHERE id = %(id)s
