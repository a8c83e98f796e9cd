SELECT DISTINCT ON (t.tier) t.tier, t.id, t.cycle_id, t.output_sha256, i.id, i.targets
FROM orbit_transformation t
LEFT
JOIN LATERAL (SELECT i.id, c.context -> 'distribution_targets' AS targets
FROM orbit_transformation s
JOIN orbit_normalizationitem i ON i.transformation_id = s.id
JOIN orbit_cyclerun c ON c.id = s.cycle_id
WHERE s.cycle_id = ANY(%(family)s)
AND s.tier = t.tier
AND (s.id = t.id
OR s.taken_from = t.id)
ORDER BY i.id
LIMIT 1) AS i ON true
WHERE t.cycle_id = ANY(%(family)s)
AND t.status = 'success'
AND t.taken_from IS NULL
ORDER BY t.tier, t.id
