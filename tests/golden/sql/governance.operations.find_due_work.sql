SELECT w.type
FROM unnest(%(types)s::text[], %(everies)s::text[]) AS w(type, every)
LEFT
JOIN governance_periodicwork p ON p.type = w.type
WHERE p.type IS NULL
OR p.every <> w.every
OR p.next_due_at <= now()
OR p.next_due_at > now() + 2 * ('1 ' || w.every)::interval
