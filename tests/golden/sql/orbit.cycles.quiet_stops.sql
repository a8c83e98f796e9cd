SELECT st.id, n.name, st.since, st.started_by, st.reason
FROM governance_stop st
LEFT
JOIN governance_namespace n ON n.id = st.namespace_id
WHERE st.ended_at IS NULL
AND st.kind IN ('halt', 'pause')
AND st.quiet_at IS NULL
AND st.since <= clock_timestamp() - 1.0 * interval '1 second'
AND (st.until IS NULL
OR st.until > clock_timestamp())
AND NOT EXISTS (SELECT 1
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE r.status = 'sending'
AND (st.namespace_id IS NULL
OR c.namespace = n.name))
AND NOT EXISTS (SELECT 1
FROM orbit_cyclerun c
WHERE c.lease_owner IS NOT NULL
AND c.lease_expires_at > clock_timestamp()
AND (st.namespace_id IS NULL
OR c.namespace = n.name))
ORDER BY st.id
LIMIT %(most)s
