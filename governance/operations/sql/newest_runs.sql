-- The newest run of each type, and the outcome of the newest one that has ended.
-- params: types text[]
SELECT w.type, newest.id, ended.outcome
FROM unnest(%(types)s::text[]) AS w(type)
CROSS JOIN LATERAL (
    SELECT r.id
    FROM governance_operationrun r
    WHERE r.type = w.type
    ORDER BY r.id DESC
    LIMIT 1
) AS newest
LEFT JOIN LATERAL (
    SELECT r.outcome
    FROM governance_operationrun r
    WHERE r.type = w.type
      AND r.status = 'completed'
    ORDER BY r.id DESC
    LIMIT 1
) AS ended ON true
