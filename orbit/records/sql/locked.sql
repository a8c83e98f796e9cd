-- The fence: lock the cycles whose fencing token still holds. Every write of the pipeline joins it.
-- params: ids uuid[], tokens bigint[]
locked AS MATERIALIZED (
    SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
    FROM orbit_cyclerun c
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token)
        ON lease.id = c.id AND lease.token = c.fencing_token
    ORDER BY c.id            -- one order for all, against deadlocks
    FOR NO KEY UPDATE OF c   -- foreign keys to the cycle don't wait for this lock
)
