-- The next events of a day as lines, in the order of the primary key.
-- args: day, after_at, after_id, most
SELECT e.namespace, e.occurred_at, e.id, {{event_line(e)}} AS line
FROM telemetry_telemetryevent e
WHERE e.occurred_at >= {{day}}::timestamp AT TIME ZONE 'UTC'
  AND e.occurred_at < ({{day}} + 1)::timestamp AT TIME ZONE 'UTC'
  AND (e.occurred_at, e.id) > (
      coalesce({{after_at}}, '-infinity'),
      coalesce({{after_id}}, '00000000-0000-0000-0000-000000000000'))
ORDER BY e.occurred_at, e.id
LIMIT {{most}}
