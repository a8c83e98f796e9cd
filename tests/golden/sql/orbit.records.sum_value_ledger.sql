SELECT (date_trunc(%(period)s, created_at AT TIME ZONE 'UTC'))::date, kind, tag, unit, sum(quantity), count(*)
FROM orbit_valueledgerentry
WHERE created_at >= %(since)s
AND created_at < %(until)s
AND (%(namespaces)s::text[] IS NULL
OR namespace = ANY(%(namespaces)s))
AND (%(tag)s::text IS NULL
OR tag = %(tag)s)
GROUP BY 1, 2, 3, 4
ORDER BY 1 DESC, 2, 3, 4
LIMIT %(limit)s
