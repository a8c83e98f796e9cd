INSERT INTO django_q_schedule (name, func, schedule_type, cron, repeats, kwargs, next_run)
SELECT x.name, %s, 'C', x.cron, x.repeats, x.kwargs, NULL
FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[]) AS x(name, cron, repeats, kwargs)
