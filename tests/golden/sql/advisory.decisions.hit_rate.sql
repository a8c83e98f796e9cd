SELECT count(*) FILTER (WHERE ended.status = 'came_true'), count(*) FILTER (WHERE ended.status = 'did_not'), count(*) FILTER (WHERE ended.status = 'cannot_tell')
FROM ((SELECT t.status, t.ended_at
FROM advisory_trackrecord t
WHERE %(rule)s::text IS NULL
AND t.rule <> ''
AND t.ended_at IS NOT NULL
ORDER BY t.ended_at DESC
LIMIT %(most)s)
UNION ALL (SELECT t.status, t.ended_at
FROM advisory_trackrecord t
WHERE t.rule = %(rule)s
AND t.ended_at IS NOT NULL
ORDER BY t.ended_at DESC
LIMIT %(most)s)) ended
