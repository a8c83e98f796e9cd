-- The columns of django_q_schedule that rows.parse() takes.
id, name, cron, repeats,
CASE WHEN next_run IS NOT NULL THEN   -- Python can't hold every time that PostgreSQL can
    least(greatest(next_run, to_timestamp(0)), to_timestamp(250000000000))
END,
kwargs
