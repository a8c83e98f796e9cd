SELECT j.endpoint_key, r.status, coalesce(r.status_code::text, r.error_class, '') AS answer, count(*), min(r.latency_ms), max(r.latency_ms), min(r.started_at), max(coalesce(r.finished_at, r.started_at))
FROM orbit_dispatchjob j
JOIN orbit_deliveryreceipt r ON r.job_id = j.id
WHERE j.cycle_id = %(cycle)s
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
LIMIT %(most)s
