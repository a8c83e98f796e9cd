-- Make tasks ready whose worker is gone: as if it had released them.
-- params: most int
WITH lost AS MATERIALIZED (   -- fences the planner: a nested loop could lock more than the limit
    SELECT t.id
    FROM orbit_conductortask t
    WHERE t.lease_expires_at <= now()
    ORDER BY t.lease_expires_at
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED   -- a claim or its late worker has it
)
UPDATE orbit_conductortask t
SET ready = true,
    lease_token = NULL,   -- the fence: the late worker's calls are refused
    lease_expires_at = NULL
FROM lost
WHERE t.id = lost.id
