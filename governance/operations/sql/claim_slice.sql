-- Lock a run whose next slice is due. No row if it isn't due, has ended or is locked by a worker.
-- One that is due later than any pause lasts is due: the clock was set back.
-- params: id uuid
SELECT
    r.*,
    extract(epoch FROM clock_timestamp() - r.next_due_at)::float8 AS late,
    EXISTS (   -- the unique indexes rule this out, but a restore loads rows before it makes them
        SELECT 1
        FROM governance_operationrun o
        WHERE o.type = r.type
          AND o.identity_hash = r.identity_hash
          AND o.namespace_id IS NOT DISTINCT FROM r.namespace_id
          AND o.status IN ('queued', 'running')
          AND o.id < r.id
    ) AS doubled
FROM governance_operationrun r
WHERE r.id = %(id)s
  AND r.status IN ('queued', 'running')
  AND (
      r.next_due_at <= clock_timestamp()
      OR r.next_due_at > clock_timestamp() + {{longest_pause}} * interval '1 second'
  )
FOR NO KEY UPDATE OF r SKIP LOCKED
