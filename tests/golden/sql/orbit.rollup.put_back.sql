WITH marks AS (UPDATE orbit_rollupmark
SET at = begin.at, after = orbit_uuid_floor(begin.at)
FROM (VALUES ('receipts', date_trunc('hour', now() - interval '900 s')), ('letters', date_trunc('hour', now() - interval '900 s')), ('cycles', date_trunc('day', now() - interval '900 s', 'UTC'))) AS begin(kind, at)
WHERE begin.kind = orbit_rollupmark.kind
AND orbit_rollupmark.at >= now() + interval '60 s'
RETURNING begin.kind, begin.at), hours AS (UPDATE orbit_deliveryhour h
SET delivered = CASE WHEN marks.receipts THEN 0 ELSE h.delivered END, dead = CASE WHEN marks.letters THEN 0 ELSE h.dead END
FROM (SELECT min(at) AS at, bool_or(kind = 'receipts') AS receipts, bool_or(kind = 'letters') AS letters
FROM marks
WHERE kind <> 'cycles') AS marks
WHERE h.hour >= marks.at), days AS (DELETE
FROM orbit_cycleday d USING marks
WHERE marks.kind = 'cycles'
AND d.day >= (marks.at AT TIME ZONE 'UTC')::date)
SELECT count(*)
FROM marks
