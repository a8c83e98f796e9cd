SELECT j.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, e.id
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.cycle_id = %(cycle)s
AND j.status = 'pending'
AND e.id = ANY(%(states)s::uuid[])
AND e.opened_at IS NOT NULL
AND e.probe_at > clock_timestamp()
AND CASE WHEN greatest(e.opened_at, j.next_attempt_at) < clock_timestamp() - 86400.0 * interval '1 second' THEN greatest(e.opened_at, j.next_attempt_at) < clock_timestamp() - (86400.0 + coalesce((SELECT extract(epoch
FROM sum(upper(spell) - lower(spell)))
FROM (SELECT unnest(range_agg(tstzrange(greatest(h.since, greatest(e.opened_at, j.next_attempt_at)), greatest(h.since, greatest(e.opened_at, j.next_attempt_at), least(h.ended_at, h.until, clock_timestamp()))))) AS spell
FROM governance_stop h
WHERE h.kind IN ('halt', 'pause')
AND (h.ended_at IS NULL
OR h.ended_at > greatest(e.opened_at, j.next_attempt_at))
AND (h.namespace_id IS NULL
OR h.namespace_id = (SELECT n.id
FROM governance_namespace n
WHERE n.name = (SELECT w.namespace
FROM orbit_cyclerun w
WHERE w.id = %(cycle)s)))) AS spells), 0)::float8) * interval '1 second' ELSE false END
ORDER BY j.id
LIMIT 1000
