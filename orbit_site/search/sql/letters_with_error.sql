-- Error groups whose text contains the term, of the newest open dead letters.
-- params: term text, scope text[], scanned int, most int
WITH newest AS MATERIALIZED (          -- a bound, by the index of open letters
    SELECT error_group, endpoint_key, namespace, error_pattern
    FROM orbit_deadletterdispatch
    WHERE status = 'open'
      AND (%(scope)s::text[] IS NULL OR namespace = ANY (%(scope)s::text[]))
    ORDER BY id DESC
    LIMIT %(scanned)s
)
SELECT error_group, endpoint_key, min(error_pattern), count(*), min(namespace)
FROM newest
WHERE error_pattern ILIKE %(term)s
GROUP BY error_group, endpoint_key
ORDER BY count(*) DESC, error_group
LIMIT %(most)s
