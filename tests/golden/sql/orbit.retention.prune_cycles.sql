WITH RECURSIVE batch AS MATERIALIZED (SELECT c.id, c.finished_at
FROM orbit_cyclerun c
WHERE c.finished_at IS NOT NULL
AND (c.finished_at, c.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
AND c.finished_at <= %(until)s::timestamptz
ORDER BY c.finished_at, c.id
LIMIT %(limit)s), climb AS (SELECT c.id, c.rerun_of
FROM batch
JOIN orbit_cyclerun c ON c.id = batch.id
UNION
SELECT c.id, c.rerun_of
FROM climb
JOIN orbit_cyclerun c ON c.id = climb.rerun_of), family AS (SELECT id AS root, id
FROM climb
WHERE rerun_of IS NULL
UNION
SELECT f.root, r.id
FROM family f
JOIN orbit_cyclerun r ON r.rerun_of = f.id), judged AS MATERIALIZED (SELECT f.root, count(*) AS members, count(*) FILTER (WHERE c.finished_at <= %(until)s::timestamptz) AS due, CASE WHEN bool_or(c.finished_at IS NULL) THEN 'an active cycle refers to it' WHEN bool_or(c.next_due_at IS NOT NULL
OR c.lease_owner IS NOT NULL) THEN 'its deliveries are open' WHEN bool_or(c.finished_at > %(until)s::timestamptz) THEN 'a re-run of it finished later' WHEN bool_or(EXISTS (SELECT 1
FROM orbit_deadletterdispatch d
WHERE d.cycle_id = c.id
AND d.status = 'open')) THEN 'it has an open dead letter' WHEN bool_or(EXISTS (SELECT 1
FROM unnest(%(profiles)s::text[], %(namespaces)s::text[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS x(profile_id, namespace, since, until)
WHERE c.profile_id = x.profile_id
AND (x.namespace IS NULL
OR c.namespace = x.namespace)
AND c.created_at >= x.since
AND c.created_at < x.until)) THEN 'a pending proposal refers to it' END AS kept
FROM family f
JOIN orbit_cyclerun c ON c.id = f.id
GROUP BY f.root HAVING bool_or((c.finished_at, c.id) <= (%(after_at)s::timestamptz, %(after_id)s::uuid)) IS NOT TRUE), free AS MATERIALIZED (SELECT c.id, f.root
FROM judged j
JOIN family f USING (root)
JOIN orbit_cyclerun c ON c.id = f.id
WHERE j.kept IS NULL
AND c.finished_at <= %(until)s::timestamptz
AND c.next_due_at IS NULL
AND c.lease_owner IS NULL
ORDER BY c.id
FOR
UPDATE OF c SKIP LOCKED), gone AS MATERIALIZED (SELECT j.root, j.due
FROM judged j
JOIN free USING (root)
GROUP BY j.root, j.due, j.members HAVING count(*) = j.members), chosen AS MATERIALIZED (SELECT free.id
FROM free
JOIN gone USING (root)), job AS MATERIALIZED (SELECT j.id, j.snapshot_id
FROM orbit_dispatchjob j
WHERE j.cycle_id IN (SELECT id
FROM chosen)), letters AS (DELETE
FROM orbit_deadletterdispatch
WHERE cycle_id IN (SELECT id
FROM chosen)
RETURNING 1), receipts AS (DELETE
FROM orbit_deliveryreceipt
WHERE job_id IN (SELECT id
FROM job)
RETURNING 1), jobs AS (DELETE
FROM orbit_dispatchjob
WHERE id IN (SELECT id
FROM job)
RETURNING 1), batches AS (DELETE
FROM orbit_normalizationbatch
WHERE cycle_id IN (SELECT id
FROM chosen)
RETURNING id), items AS (DELETE
FROM orbit_normalizationitem
WHERE batch_id IN (SELECT id
FROM batches)
RETURNING 1), tiers AS (DELETE
FROM orbit_transformation
WHERE cycle_id IN (SELECT id
FROM chosen)
RETURNING initiation_id), cycles AS (DELETE
FROM orbit_cyclerun
WHERE id IN (SELECT id
FROM chosen)
RETURNING id, initiation_hash, finished_at), looked AS (SELECT finished_at, id
FROM batch
ORDER BY finished_at DESC, id DESC
LIMIT 1), kept AS (SELECT j.kept AS reason, sum(j.due) AS number
FROM judged j
WHERE j.kept IS NOT NULL
GROUP BY j.kept
UNION ALL
SELECT 'another transaction uses it', sum(j.due)
FROM judged j
WHERE j.kept IS NULL
AND j.root NOT IN (SELECT root
FROM gone) HAVING sum(j.due) > 0)
SELECT (SELECT count(*)
FROM batch) AS looked_at, (SELECT finished_at
FROM looked), (SELECT id
FROM looked), jsonb_build_object('cycles', (SELECT count(*)
FROM cycles), 'transformations', (SELECT count(*)
FROM tiers), 'normalization_batches', (SELECT count(*)
FROM batches), 'normalization_items', (SELECT count(*)
FROM items), 'dispatch_jobs', (SELECT count(*)
FROM jobs), 'delivery_receipts', (SELECT count(*)
FROM receipts), 'dead_letters', (SELECT count(*)
FROM letters)), (SELECT coalesce(jsonb_object_agg(k.reason, k.number), '{}'::jsonb)
FROM kept k), (SELECT min(finished_at)
FROM cycles), (SELECT max(finished_at)
FROM cycles), (SELECT coalesce(array_agg(id), '{}')
FROM cycles), (SELECT coalesce(array_agg(DISTINCT initiation_hash), '{}')
FROM cycles), (SELECT coalesce(jsonb_object_agg(u.initiation_id, u.uses), '{}'::jsonb)
FROM (SELECT t.initiation_id, count(*) AS uses
FROM tiers t
GROUP BY t.initiation_id) u), (SELECT coalesce(jsonb_object_agg(u.snapshot_id, u.uses), '{}'::jsonb)
FROM (SELECT j.snapshot_id, count(*) AS uses
FROM job j
GROUP BY j.snapshot_id) u)
