SELECT count(*)
FROM (SELECT r.id
FROM governance_operationrun r
WHERE r.id < %(before)s
AND r.finished_at < now() - %(days)s * interval '1 day'
AND NOT EXISTS (SELECT 1
FROM governance_periodicwork p
WHERE p.last_run_id = r.id)
ORDER BY r.id
LIMIT %(most)s) AS old
