-- Make the next queued cycle pending for each cycle that `finishes` has ended.
promotes AS (
    UPDATE orbit_cyclerun c
    SET status = 'pending', next_due_at = clock_timestamp()
    FROM finishes
    JOIN LATERAL ({{next_in_queue(finishes.namespace)}}) AS next ON finishes.ended
    WHERE c.id = next.id
)
