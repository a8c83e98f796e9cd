WITH newest AS MATERIALIZED (SELECT id, message, count, day, namespace
FROM telemetry_errorgroup
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY (%(scope)s::text[])
ORDER BY last_seen DESC, id DESC
LIMIT %(scanned)s)
SELECT id, left(message, 300), count, day, namespace
FROM newest
WHERE message ILIKE %(term)s
LIMIT %(most)s
