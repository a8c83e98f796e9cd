SELECT EXISTS (SELECT
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE NOT p.is_fanned_out
AND NOT p.is_cancelling
AND t.state IN ('PENDING', 'RUNNING')
AND NOT EXISTS (SELECT
FROM orbit_conductorrun r
WHERE r.id = t.run_id
AND r.cancel_requested_at IS NOT NULL)
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = t.namespace
AND s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())))
