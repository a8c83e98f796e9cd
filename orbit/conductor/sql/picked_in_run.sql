-- A CTE that locks ready tasks of one run.
-- params: most int, run_id text
picked AS MATERIALIZED (
    SELECT {{columns}}
    FROM orbit_conductortask t
    WHERE t.ready
      AND t.run_id = %(run_id)s
      AND EXISTS (
        SELECT FROM orbit_conductorrun r
        WHERE r.id = %(run_id)s AND {{gate_lets_start(r.namespace)}})
    ORDER BY t.priority DESC, t.id
    LIMIT %(most)s::int
    FOR NO KEY UPDATE OF t SKIP LOCKED
)
