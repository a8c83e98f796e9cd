WITH added AS (INSERT INTO governance_periodicwork (type, every, next_due_at)
VALUES (%(type)s, %(every)s, (date_trunc(%(every)s, now() AT TIME ZONE 'UTC') + ('1 ' || %(every)s)::interval) AT TIME ZONE 'UTC')
ON CONFLICT (type) DO NOTHING
RETURNING type, true AS is_due), wrong AS MATERIALIZED (SELECT p.type, p.next_due_at <= now() AS is_due
FROM governance_periodicwork p
WHERE p.type = %(type)s
AND (p.next_due_at <= now()
OR p.every <> %(every)s
OR p.next_due_at > now() + 2 * ('1 ' || %(every)s)::interval)
FOR
UPDATE), moved AS (UPDATE governance_periodicwork p
SET every = %(every)s, next_due_at = (date_trunc(%(every)s, now() AT TIME ZONE 'UTC') + ('1 ' || %(every)s)::interval) AT TIME ZONE 'UTC'
FROM wrong
WHERE p.type = wrong.type
RETURNING wrong.type, wrong.is_due), taken AS (SELECT type, is_due
FROM added
UNION ALL
SELECT type, is_due
FROM moved)
SELECT is_due
AND NOT (%(every)s = 'day'
AND EXISTS (SELECT 1
FROM governance_operationrun r
WHERE r.type = taken.type
AND r.initiator = %(initiator)s
AND (r.created_at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date))
FROM taken
