-- Save the outcome of items of a run; the arrays are parallel.
-- params: run uuid, ids uuid[], outcomes text[], details text[]
UPDATE governance_operationrunitem i
SET outcome = x.outcome,
    detail = left(x.detail, 300)
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(details)s::text[]) AS x(id, outcome, detail)
WHERE i.run_id = %(run)s
  AND i.object_id = x.id
