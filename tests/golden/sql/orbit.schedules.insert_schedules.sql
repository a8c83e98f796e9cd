INSERT INTO django_q_schedule (name, func, schedule_type, cron, repeats, kwargs, next_run)
SELECT x.name, %(func)s, 'C', x.cron, x.repeats, x.kwargs, NULL
FROM unnest(%(names)s::text[], %(crons)s::text[], %(repeats)s::int[], %(kwargs)s::text[]) AS x(name, cron, repeats, kwargs)
