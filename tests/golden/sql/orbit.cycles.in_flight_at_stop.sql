WITH cycles AS MATERIALIZED ((SELECT c.id, c.namespace
FROM orbit_cyclerun c
WHERE (%(namespace)s::text IS NULL
OR c.namespace = %(namespace)s)
ORDER BY c.id DESC
LIMIT 200)
UNION (SELECT c.id, c.namespace
FROM orbit_cyclerun c
WHERE (%(namespace)s::text IS NULL
OR c.namespace = %(namespace)s)
AND c.next_due_at IS NOT NULL
AND c.resumes < 2
LIMIT 1000)
UNION (SELECT c.id, c.namespace
FROM orbit_cyclerun c
WHERE (%(namespace)s::text IS NULL
OR c.namespace = %(namespace)s)
AND c.next_due_at IS NOT NULL
AND c.resumes >= 2
LIMIT 1000)), attempts AS MATERIALIZED (SELECT cycles.namespace, cycles.id AS cycle_id, j.id AS job_id, j.endpoint_key, r.attempt, r.status, r.status_code, r.started_at, r.finished_at
FROM cycles
JOIN orbit_dispatchjob j ON j.cycle_id = cycles.id
JOIN orbit_deliveryreceipt r ON r.job_id = j.id), in_flight AS (SELECT *
FROM attempts
WHERE started_at > %(since)s
OR finished_at > %(since)s)
SELECT clock_timestamp(), (SELECT max(started_at)
FROM attempts
WHERE status <> 'unsent'), (SELECT count(*)
FROM in_flight), (SELECT count(*)
FROM in_flight
WHERE started_at > %(since)s
AND status <> 'unsent'), (SELECT json_agg(f
ORDER BY f.started_at, f.job_id)
FROM (SELECT *
FROM in_flight
ORDER BY started_at, job_id
LIMIT %(named)s) AS f)
