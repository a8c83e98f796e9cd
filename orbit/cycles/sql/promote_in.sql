-- Make the next queued cycle of a namespace pending.
-- params: namespace text
UPDATE orbit_cyclerun c
SET status = 'pending', next_due_at = clock_timestamp()
FROM ({{next_in_queue(%(namespace)s)}}) AS next
WHERE c.id = next.id
RETURNING c.id
