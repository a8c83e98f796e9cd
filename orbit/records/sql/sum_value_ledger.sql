-- Sum the value ledger per period, kind, tag and unit.
-- params: period text, since timestamptz, until timestamptz, namespaces text[], tag text, limit int
SELECT
    -- in UTC, whatever the session's time zone is
    (date_trunc(%(period)s, created_at AT TIME ZONE 'UTC'))::date,
    kind,
    tag,
    unit,
    sum(quantity),
    count(*)   -- counts cycles: a cycle has at most one entry of a kind, tag and unit
FROM orbit_valueledgerentry
WHERE created_at >= %(since)s
  AND created_at < %(until)s
  AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))   -- null: all
  AND (%(tag)s::text IS NULL OR tag = %(tag)s)
GROUP BY 1, 2, 3, 4
ORDER BY 1 DESC, 2, 3, 4
LIMIT %(limit)s
