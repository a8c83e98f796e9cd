SELECT l.status, l.namespace, l.endpoint_key, s.fingerprint, j.snapshot_id, count(*)
FROM unnest(%(ids)s::uuid[]) AS x(id)
JOIN orbit_deadletterdispatch l ON l.id = x.id
JOIN orbit_dispatchjob j ON j.id = l.job_id
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
WHERE (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
GROUP BY l.status, l.namespace, l.endpoint_key, s.fingerprint, j.snapshot_id
