-- Types of periodic work that are due, were never started, or whose row must be set right.
-- A plain read: most calls find nothing and write nothing.
-- params: types text[], everies text[]
SELECT w.type
FROM unnest(%(types)s::text[], %(everies)s::text[]) AS w(type, every)
LEFT JOIN governance_periodicwork p ON p.type = w.type
WHERE p.type IS NULL
   OR p.every <> w.every   -- this release does it more or less often
   OR p.next_due_at <= now()
   OR p.next_due_at > now() + 2 * ('1 ' || w.every)::interval   -- the clock was set back
