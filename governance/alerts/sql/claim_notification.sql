-- Take a message that is due, as one more attempt. It stays pending and is due again after the
-- lease: if its sender dies, another one sends it, under the same id.
-- params: lease float, without text[]
UPDATE governance_notification n
SET attempts = n.attempts + 1,
    next_attempt_at = statement_timestamp() + %(lease)s * interval '1 second'
WHERE n.id = (
    SELECT d.id
    FROM governance_notification d
    WHERE d.status = 'pending'
      AND d.next_attempt_at <= statement_timestamp()
      AND d.channel <> ALL(%(without)s::text[])     -- those had their turn
      AND (d.phase = 'opened' OR NOT EXISTS (       -- "closed" never arrives before "opened"
          SELECT FROM governance_notification o
          WHERE o.alert_id = d.alert_id
            AND o.channel = d.channel
            AND o.phase = 'opened'
            AND o.status = 'pending'))
    ORDER BY d.next_attempt_at, d.id
    LIMIT 1
    FOR NO KEY UPDATE OF d SKIP LOCKED)             -- another sender has it
RETURNING n.id, n.channel, n.phase, n.document::text, n.attempts
