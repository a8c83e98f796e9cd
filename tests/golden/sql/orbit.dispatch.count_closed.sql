SELECT (SELECT count(*)
FROM orbit_deliveryreceipt r
JOIN unnest(%(receipts)s::uuid[], %(statuses)s::text[]) AS x(id, status) ON x.id = r.id
AND x.status = r.status) + (SELECT count(*)
FROM orbit_dispatchjob j
WHERE j.id = ANY(%(jobs)s::uuid[])
AND j.status <> 'pending')
