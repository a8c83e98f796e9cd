-- What waits to be added to the counts of the parents of a run.
-- params: run text, parents text[]
SELECT t.parent_id, sum(t.pending), sum(t.running), sum(t.retrying), sum(t.succeeded), sum(t.failed),
    sum(t.cancelled)
FROM orbit_conductortally t
WHERE t.run_id = %(run)s AND t.parent_id = ANY(%(parents)s)
GROUP BY t.parent_id
