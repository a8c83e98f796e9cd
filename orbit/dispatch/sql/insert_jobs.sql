-- Write the delivery jobs of a cycle, due at once. A job whose snapshot is missing gets a NULL, so the
-- statement fails as a whole: no delivery may be left out.
-- params: jobs json
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        max_retries, next_attempt_at)
    SELECT
        x.id, x.cycle_id, x.item_id, x.endpoint_key, s.id, x.delivery_id, 'pending',
        x.max_retries, clock_timestamp()
    FROM json_to_recordset(%(jobs)s::json) AS x(
        id uuid, cycle_id uuid, item_id uuid, endpoint_key text, fingerprint text,
        delivery_id uuid, max_retries int)
    JOIN locked ON locked.id = x.cycle_id
    LEFT JOIN orbit_endpointsnapshot s ON s.fingerprint = x.fingerprint
)
