-- End a cycle and its lease. A cycle that had ended before only loses its lease.
-- params: finishes jsonb
finishes AS (
    UPDATE orbit_cyclerun c
    SET status = coalesce(x.status, c.status),
        stages = coalesce(x.stages, c.stages),
        reason = coalesce(x.reason, c.reason),
        finished_at = coalesce(c.finished_at, clock_timestamp()),
        lease_owner = NULL,
        lease_expires_at = NULL,
        next_due_at = CASE
            -- compared with the row as it is once it is locked: a requeue that came while a worker
            -- held the cycle has raised it, and added a job, so the cycle stays due
            WHEN c.requeues = x.requeues THEN clock_timestamp() + x.wait * interval '1 second'
            ELSE clock_timestamp()
        END
    FROM jsonb_to_recordset(%(finishes)s::jsonb) AS x(
        cycle_id uuid, status text, stages jsonb, reason text, requeues int, wait float8
    )
    JOIN locked ON locked.id = x.cycle_id
    WHERE c.id = locked.id
    RETURNING
        c.namespace,
        -- only a cycle that was active has made room for the next one
        x.status IS NOT NULL AND locked.status IN ('pending', 'running') AS ended
)
