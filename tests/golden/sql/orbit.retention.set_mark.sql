INSERT INTO orbit_retentionmark AS m (kind, pruned_to, pruned_at)
VALUES (%(kind)s, %(until)s::timestamptz, clock_timestamp())
ON CONFLICT (kind) DO
UPDATE
SET pruned_to = EXCLUDED.pruned_to, pruned_at = EXCLUDED.pruned_at
WHERE m.pruned_to <= EXCLUDED.pruned_to
