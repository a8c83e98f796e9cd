SELECT t.run_id, sum(t.pending), sum(t.running), sum(t.retrying), sum(t.succeeded), sum(t.failed), sum(t.cancelled)
FROM orbit_conductortally t
WHERE t.run_id = ANY(%(runs)s)
GROUP BY t.run_id
