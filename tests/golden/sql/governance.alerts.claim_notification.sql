UPDATE governance_notification n
SET attempts = n.attempts + 1, next_attempt_at = statement_timestamp() + %(lease)s * interval '1 second'
WHERE n.id = (SELECT d.id
FROM governance_notification d
WHERE d.status = 'pending'
AND d.next_attempt_at <= statement_timestamp()
AND d.channel <> ALL(%(without)s::text[])
AND (d.phase = 'opened'
OR NOT EXISTS (SELECT
FROM governance_notification o
WHERE o.alert_id = d.alert_id
AND o.channel = d.channel
AND o.phase = 'opened'
AND o.status = 'pending'))
ORDER BY d.next_attempt_at, d.id
LIMIT 1
FOR NO KEY
UPDATE OF d SKIP LOCKED)
RETURNING n.id, n.channel, n.phase, n.document::text, n.attempts
