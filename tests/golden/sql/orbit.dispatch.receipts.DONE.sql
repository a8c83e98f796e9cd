SELECT (SELECT count(*)
FROM orbit_deliveryreceipt r
JOIN unnest(%s::uuid[], %s::text[]) AS x(id, status) ON x.id = r.id
AND x.status = r.status) + (SELECT count(*)
FROM orbit_dispatchjob j
WHERE j.id = ANY(%s::uuid[])
AND j.status <> 'pending')
