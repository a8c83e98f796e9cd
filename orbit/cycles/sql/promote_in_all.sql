-- Make the next queued cycle of each namespace pending.
-- params: namespaces text[]
UPDATE orbit_cyclerun c
SET status = 'pending', next_due_at = clock_timestamp()
FROM unnest(%(namespaces)s::text[]) AS w(namespace)
JOIN LATERAL ({{next_in_queue(w.namespace)}}) AS next ON true
WHERE c.id = next.id
RETURNING c.id
