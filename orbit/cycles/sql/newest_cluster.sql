-- The cluster that started last, of those that are alive and not draining. By the time in its id: a
-- row that was lost comes again with another ``started_at``.
SELECT id
FROM orbit_clusternode
WHERE seen_at > statement_timestamp() - {{silent_after_seconds}} * interval '1 second'
  AND NOT draining
ORDER BY id DESC
LIMIT 1
