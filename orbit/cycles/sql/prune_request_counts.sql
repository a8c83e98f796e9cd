-- Delete the request counts of callers that have been silent for an hour.
-- params: most int
DELETE FROM governance_requestcount
WHERE caller IN (
    SELECT caller
    FROM governance_requestcount
    WHERE minute < now() - interval '1 hour'
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED           -- other clusters do the same
)
