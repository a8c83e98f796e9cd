-- The last failed attempts of an endpoint, among the newest ones of all endpoints.
-- params: key text, looked_at int, limit int
SELECT
    r.job_id, r.attempt, r.started_at, r.status, r.status_code, r.error_class, r.error,
    r.latency_ms
FROM (
    (   -- one step in the index for each status
        SELECT *
        FROM orbit_deliveryreceipt
        WHERE status = 'failed'
        ORDER BY id DESC
        LIMIT %(looked_at)s
    )
    UNION ALL
    (
        SELECT *
        FROM orbit_deliveryreceipt
        WHERE status = 'unknown'
        ORDER BY id DESC
        LIMIT %(looked_at)s
    )
) r
JOIN orbit_dispatchjob j ON j.id = r.job_id
WHERE j.endpoint_key = %(key)s
ORDER BY r.id DESC
LIMIT %(limit)s
