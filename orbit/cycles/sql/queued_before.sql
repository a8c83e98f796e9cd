-- How many queued cycles are before each of these in its namespace; `most` are counted.
-- params: cycles uuid[], most int
SELECT c.id, (
    SELECT count(*)
    FROM (
        SELECT 1
        FROM orbit_cyclerun q
        WHERE q.namespace = c.namespace
          AND q.status = 'queued'   -- the condition of the index
          AND q.id < c.id
        LIMIT %(most)s
    ) AS ahead
)
FROM orbit_cyclerun c
WHERE c.id = ANY(%(cycles)s)
