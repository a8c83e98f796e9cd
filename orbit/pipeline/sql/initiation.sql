-- CTEs of a fenced write that initiates its cycles. `initiated` has one row for each of them.
-- params: initiations json
initiation AS (
    INSERT INTO orbit_initiation
        (id, initiation_hash, namespace, profile_id, run_profile_id, instruction_id)
    SELECT
        x.id, x.initiation_hash, x.namespace, x.profile_id, x.run_profile_id, x.instruction_id
    FROM json_to_recordset(%(initiations)s::json) AS x(
        cycle_id uuid, id uuid, initiation_hash text, namespace text, profile_id text,
        run_profile_id text, instruction_id text
    )
    JOIN locked ON locked.id = x.cycle_id
    -- Not DO NOTHING: an update returns the row that exists already, and waits for a transaction
    -- that is inserting it.
    ON CONFLICT (initiation_hash) DO UPDATE SET initiation_hash = EXCLUDED.initiation_hash
    RETURNING id, initiation_hash, xmax = 0 AS created   -- xmax is 0 only on a row inserted here
),
initiated AS (
    SELECT x.cycle_id, i.initiation_hash, i.id, i.created
    FROM initiation i
    JOIN json_to_recordset(%(initiations)s::json) AS x(cycle_id uuid, initiation_hash text)
        USING (initiation_hash)
)
