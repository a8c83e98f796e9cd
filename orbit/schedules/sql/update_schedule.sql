-- Write a schedule that the caller has locked.
-- params: id int, cron text, repeats int, kwargs text, moved bool
UPDATE django_q_schedule
SET cron = %(cron)s,
    repeats = %(repeats)s,
    kwargs = %(kwargs)s,
    next_run = CASE WHEN %(moved)s THEN NULL ELSE next_run END   -- NULL: compute it again
WHERE id = %(id)s
