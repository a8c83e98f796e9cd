INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail, decided_at)
SELECT x.id, x.schedule, x.key, x.due_at, x.outcome, x.detail::jsonb, CASE WHEN x.outcome <> 'due' THEN x.now END
FROM unnest(%(ids)s::uuid[], %(schedules)s::text[], %(keys)s::text[], %(due_at)s::timestamptz[], %(outcomes)s::text[], %(details)s::text[], %(decided_at)s::timestamptz[]) AS x(id, schedule, key, due_at, outcome, detail, now)
ON CONFLICT (schedule, tick_key) DO NOTHING
RETURNING id, outcome
