UPDATE django_q_schedule AS q
SET next_run = x.next_run
FROM unnest(%(ids)s::int[], %(next_runs)s::timestamptz[]) AS x(id, next_run)
WHERE q.id = x.id
