SELECT t.tier, coalesce(t.output, o.output), t.output_content_type
FROM orbit_transformation t
LEFT
JOIN orbit_transformation o ON o.id = t.taken_from
WHERE t.cycle_id = %(cycle)s
AND t.tier = ANY(%(tiers)s)
