INSERT INTO orbit_retentionmark AS m (kind, pruned_to)
VALUES (%(kind)s, %(until)s::timestamptz)
ON CONFLICT (kind) DO
UPDATE
SET pruned_to = greatest(m.pruned_to, EXCLUDED.pruned_to)
