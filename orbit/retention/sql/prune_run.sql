-- Delete a run without tasks, and its tallies.
-- params: run text
WITH tallies AS (
    DELETE FROM orbit_conductortally WHERE run_id = %(run)s RETURNING 1
),
run AS (
    DELETE FROM orbit_conductorrun WHERE id = %(run)s RETURNING 1
)
SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM tallies)
