-- The oldest due cycles of a namespace. Before the position this process has seen none that may run.
-- args: namespace
-- params: since timestamptz, since_id uuid
SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE c.namespace = {{namespace}}
  AND (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
  AND c.next_due_at <= now()
  AND c.resumes < {{alone_from}}
ORDER BY c.next_due_at, c.id
