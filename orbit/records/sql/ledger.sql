-- Meter a cycle that ends. Its entries are unique, so doing it twice adds nothing.
-- params: ledger json
ledger AS (
    INSERT INTO orbit_valueledgerentry (
        id, cycle_id, namespace, profile_id, run_profile_id, kind, tag, quantity, unit)
    SELECT
        x.id, x.cycle_id, x.namespace, x.profile_id, x.run_profile_id, x.kind, x.tag,
        coalesce(
            x.quantity,
            (   -- null: count the deliveries here; requeued ones are no part of the cycle's outcome
                SELECT count(*)
                FROM orbit_dispatchjob j
                WHERE j.cycle_id = x.cycle_id
                  AND j.status = 'delivered'
                  AND j.requeue_of_id IS NULL
            )
        ),
        x.unit
    FROM json_to_recordset(%(ledger)s::json) AS x(
        id uuid, cycle_id uuid, namespace text, profile_id text, run_profile_id text, kind text,
        tag text, quantity numeric, unit text)
    JOIN locked ON locked.id = x.cycle_id
    ON CONFLICT (cycle_id, kind, tag, unit) DO NOTHING
)
