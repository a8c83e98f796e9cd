-- A value: what job `j` becomes if its cycle ends before it is delivered. A requeued job becomes a
-- dead letter again: its first letter is closed, so otherwise the delivery could never be sent.
CASE
    WHEN j.requeue_of_id IS NOT NULL AND (
        -- not EXISTS: the planner may turn that into a scan of all letters
        SELECT true FROM orbit_deadletterdispatch l WHERE l.requeued_job_id = j.id
    )
    THEN 'dead'
    ELSE 'cancelled'
END
