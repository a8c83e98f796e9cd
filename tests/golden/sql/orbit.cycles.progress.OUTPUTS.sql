SELECT t.tier, coalesce(t.output, o.output), t.output_content_type
FROM orbit_transformation t
LEFT
JOIN orbit_transformation o ON o.id = t.taken_from
WHERE t.cycle_id = %s
AND t.tier = ANY(%s)
