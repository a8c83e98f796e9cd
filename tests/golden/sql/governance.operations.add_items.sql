INSERT INTO governance_operationrunitem (run_id, object_id)
SELECT %(run)s, id
FROM unnest(%(ids)s::uuid[]) AS id
ORDER BY id
