UPDATE governance_operationrunitem i
SET outcome = x.outcome, detail = left(x.detail, 300)
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(details)s::text[]) AS x(id, outcome, detail)
WHERE i.run_id = %(run)s
AND i.object_id = x.id
