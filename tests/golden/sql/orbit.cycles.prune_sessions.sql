DELETE
FROM django_session
WHERE session_key IN (SELECT session_key
FROM django_session
WHERE expire_date < now() - interval '24 hours'
ORDER BY expire_date
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)
