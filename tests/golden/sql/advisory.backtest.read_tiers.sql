SELECT t.cycle_id, t.tier, t.transformer, t.status, t.attempts, i.id IS NOT NULL, CASE WHEN octet_length(i.payload) > 0
OR i.sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' THEN octet_length(i.payload) END
FROM orbit_transformation t
LEFT
JOIN orbit_normalizationitem i ON i.transformation_id = t.id
WHERE t.cycle_id = ANY (%(cycles)s::uuid[])
