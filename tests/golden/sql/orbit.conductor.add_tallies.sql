WITH found AS MATERIALIZED (SELECT t.id, t.parent_id
FROM unnest(%(runs)s::text[]) r(id) CROSS
JOIN LATERAL (SELECT t.id, t.parent_id
FROM orbit_conductortally t
WHERE t.run_id = r.id COLLATE "C"
LIMIT %(tallies)s
FOR
UPDATE SKIP LOCKED) t), parents AS MATERIALIZED (SELECT p.task_id
FROM orbit_conductorparent p
WHERE p.task_id IN (SELECT parent_id
FROM found)
ORDER BY p.task_id
FOR NO KEY
UPDATE SKIP LOCKED), taken AS (DELETE
FROM orbit_conductortally t USING found f
WHERE t.id = f.id
AND (f.parent_id IS NULL
OR f.parent_id IN (SELECT task_id
FROM parents))
RETURNING t.*), by_parent AS MATERIALIZED (SELECT run_id, parent_id, count(*) AS tallies, sum(pending) AS pending, sum(running) AS running, sum(retrying) AS retrying, sum(succeeded) AS succeeded, sum(failed) AS failed, sum(cancelled) AS cancelled
FROM taken
GROUP BY run_id, parent_id), by_run AS (SELECT run_id, sum(pending) AS pending, sum(running) AS running, sum(retrying) AS retrying, sum(succeeded) AS succeeded, sum(failed) AS failed, sum(cancelled) AS cancelled, coalesce(sum(pending + running + retrying) FILTER (WHERE parent_id IS NULL), 0) AS open_roots, coalesce(sum(failed) FILTER (WHERE parent_id IS NULL), 0) AS failed_roots, coalesce(sum(cancelled) FILTER (WHERE parent_id IS NULL), 0) AS cancelled_roots
FROM by_parent
GROUP BY run_id), add_to_parents AS (UPDATE orbit_conductorparent p
SET pending = p.pending + b.pending, running = p.running + b.running, retrying = p.retrying + b.retrying, succeeded = p.succeeded + b.succeeded, failed = p.failed + b.failed, cancelled = p.cancelled + b.cancelled
FROM by_parent b
WHERE p.task_id = b.parent_id), add_to_runs AS (UPDATE orbit_conductorrun r
SET pending = r.pending + b.pending, running = r.running + b.running, retrying = r.retrying + b.retrying, succeeded = r.succeeded + b.succeeded, failed = r.failed + b.failed, cancelled = r.cancelled + b.cancelled, open_roots = r.open_roots + b.open_roots, failed_roots = r.failed_roots + b.failed_roots, cancelled_roots = r.cancelled_roots + b.cancelled_roots
FROM by_run b
WHERE r.id = b.run_id)
SELECT parent_id, tallies::int
FROM by_parent
