-- Close attempts of a lost worker whose job a late success has ended. Their result is unknown.
-- params: receipts uuid[]
WITH {{locked}}
UPDATE orbit_deliveryreceipt r
SET status = 'unknown',
    finished_at = clock_timestamp(),
    error_class = 'lost',
    error = 'the worker that sent it was lost'
FROM locked
WHERE r.id = ANY(%(receipts)s::uuid[])
  AND r.status = 'sending'   -- not closed by another worker meanwhile
RETURNING r.id
