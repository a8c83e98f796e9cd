-- A CTE of a fenced write: what became of an attempt of each of these tiers.
-- `source` is `locked`, or `initiated` if the statement initiates too: no other part of a statement
-- can read from the table what the statement inserts.
-- params: tiers json, blobs bytea[]
-- args: initiation_id, source, cycle_id
tiers AS (
    INSERT INTO orbit_transformation AS t
        (id, cycle_id, initiation_id, tier, transformer, status, attempts, next_attempt_at,
         output, output_is_input, output_content_type, output_sha256, error, started_at,
         finished_at)
    SELECT
        x.id, x.cycle_id, {{initiation_id}}, x.tier, x.transformer, x.status, x.attempts,
        clock_timestamp() + x.wait * interval '1 second',
        (%(blobs)s::bytea[])[x.blob], x.is_input, x.content_type, x.sha256, x.error,
        clock_timestamp() - x.took * interval '1 second',
        CASE WHEN x.status <> 'pending' THEN clock_timestamp() END
    FROM json_to_recordset(%(tiers)s::json) AS x(
        id uuid, cycle_id uuid, initiation_id uuid, tier int, transformer text, status text,
        attempts int, wait float8, blob int, is_input bool, content_type text, sha256 text,
        error text, took float8
    )
    JOIN {{source}} ON {{cycle_id}} = x.cycle_id
    ON CONFLICT (cycle_id, tier) DO UPDATE SET
        status = EXCLUDED.status,
        attempts = EXCLUDED.attempts,
        next_attempt_at = EXCLUDED.next_attempt_at,
        output = EXCLUDED.output,
        output_is_input = EXCLUDED.output_is_input,
        output_content_type = EXCLUDED.output_content_type,
        output_sha256 = EXCLUDED.output_sha256,
        error = EXCLUDED.error,
        finished_at = EXCLUDED.finished_at
    WHERE t.status = 'pending'   -- a tier that has ended keeps its outcome
)
