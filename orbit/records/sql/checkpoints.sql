-- Write the checkpoints that a fenced statement reaches.
-- params: checkpoints json
checkpoints AS (
    INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
    SELECT x.cycle_id, x.stage, locked.token
    FROM json_to_recordset(%(checkpoints)s::json) AS x(cycle_id uuid, stage text)
    JOIN locked ON locked.id = x.cycle_id
)
