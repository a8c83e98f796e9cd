SELECT EXISTS (SELECT 1
FROM orbit_valueledgerentry v
WHERE v.cycle_id = ANY(%(family)s)
AND v.kind = 'value')
