-- Delete console sessions a day after their end: they end by the web server's clock.
-- params: most int
DELETE FROM django_session
WHERE session_key IN (
    SELECT session_key
    FROM django_session
    WHERE expire_date < now() - interval '24 hours'
    ORDER BY expire_date
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED           -- other clusters do the same
)
