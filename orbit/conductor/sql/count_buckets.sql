-- Count tasks with the same parent, or the roots of a run, by their state and the bucket of their
-- index. It reads the tasks from first to last, so its cost doesn't grow with their siblings.
-- params: owner text, first int, last int, size int
SELECT (t.index - %(first)s) / %(size)s AS bucket,
    count(*) FILTER (WHERE t.state = 'PENDING') AS pending,
    count(*) FILTER (WHERE t.state = 'RUNNING') AS running,
    count(*) FILTER (WHERE t.state = 'FAILED' AND t.ready) AS retrying,
    count(*) FILTER (WHERE t.state = 'SUCCEEDED') AS succeeded,
    count(*) FILTER (WHERE t.state = 'FAILED' AND NOT t.ready) AS failed,
    count(*) FILTER (WHERE t.state = 'CANCELLED') AS cancelled
FROM orbit_conductortask t
WHERE {{siblings}} AND t.index BETWEEN %(first)s AND %(last)s
GROUP BY bucket
ORDER BY bucket
