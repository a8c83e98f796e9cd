-- From now on the run can't be retried. It is locked, and this statement sees what was committed
-- before that. A run ends with its roots: tasks under them may be open for a while.
-- params: id text
UPDATE orbit_conductorrun r
SET pruning_since = coalesce(r.pruning_since, clock_timestamp())
WHERE r.id = %(id)s
  AND (
      r.pruning_since IS NOT NULL
      OR r.pending + r.running + r.retrying = 0
      AND NOT r.is_cancelling
      AND NOT EXISTS (SELECT 1 FROM orbit_conductortally w WHERE w.run_id = r.id)
  )
RETURNING r.pruning_since
