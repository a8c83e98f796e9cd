DELETE
FROM orbit_skipnotice
WHERE namespace IN (SELECT namespace
FROM orbit_skipnotice
WHERE written_at <= %(until)s::timestamptz
LIMIT %(limit)s
FOR
UPDATE SKIP LOCKED)
