SELECT (t.index - %(first)s) / %(size)s AS bucket, count(*) FILTER (WHERE t.state = 'PENDING') AS pending, count(*) FILTER (WHERE t.state = 'RUNNING') AS running, count(*) FILTER (WHERE t.state = 'FAILED'
AND t.ready) AS retrying, count(*) FILTER (WHERE t.state = 'SUCCEEDED') AS succeeded, count(*) FILTER (WHERE t.state = 'FAILED'
AND NOT t.ready) AS failed, count(*) FILTER (WHERE t.state = 'CANCELLED') AS cancelled
FROM orbit_conductortask t
WHERE t.run_id = %(owner)s
AND t.parent_id IS NULL
AND t.index BETWEEN %(first)s
AND %(last)s
GROUP BY bucket
ORDER BY bucket
