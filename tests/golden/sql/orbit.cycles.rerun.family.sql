WITH RECURSIVE up AS (SELECT c.id, c.rerun_of
FROM orbit_cyclerun c
WHERE c.id = %(id)s
UNION ALL
SELECT c.id, c.rerun_of
FROM up
JOIN orbit_cyclerun c ON c.id = up.rerun_of), family AS (SELECT id
FROM up
WHERE rerun_of IS NULL
UNION ALL
SELECT c.id
FROM family
JOIN orbit_cyclerun c ON c.rerun_of = family.id)
SELECT id
FROM family
ORDER BY id
