-- Put a message about each of these alerts into the outbox, for each channel.
-- params: ids uuid[], alerts uuid[], channels text[], phase text, documents text[]
INSERT INTO governance_notification (id, alert_id, channel, phase, document)
SELECT n.id, n.alert_id, n.channel, %(phase)s, n.document::jsonb
FROM unnest(
    %(ids)s::uuid[], %(alerts)s::uuid[], %(channels)s::text[], %(documents)s::text[]
) AS n (id, alert_id, channel, document)
ON CONFLICT (alert_id, channel, phase) DO NOTHING
