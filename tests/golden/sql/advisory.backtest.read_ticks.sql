SELECT t.id, t.due_at
FROM orbit_crontick t
WHERE t.schedule = %(schedule)s
AND t.due_at BETWEEN %(since)s
AND %(until)s
ORDER BY t.due_at DESC, t.id DESC
LIMIT %(most)s
