SELECT coalesce(greatest(0, max(extract(epoch
FROM now() - make_interval(days => %(days)s) - oldest.finished_at))), 0)::float8
FROM (SELECT min(c.finished_at)
FROM orbit_cyclerun c
WHERE c.finished_at > coalesce((SELECT pruned_to
FROM orbit_retentionmark
WHERE kind = 'cycles'), '-infinity')
UNION ALL
SELECT min(t.decided_at)
FROM orbit_crontick t
WHERE t.decided_at > coalesce((SELECT pruned_to
FROM orbit_retentionmark
WHERE kind = 'cron_ticks'), '-infinity')
UNION ALL
SELECT min(r.finished_at)
FROM orbit_conductorrun r
WHERE r.finished_at > coalesce((SELECT pruned_to
FROM orbit_retentionmark
WHERE kind = 'conductor_runs'), '-infinity')
UNION ALL
SELECT min(m.ends)
FROM (SELECT e.parent, e.month, e.ends
FROM (SELECT m.parent, m.month, (m.month + interval '1 month') AT TIME ZONE 'UTC' AS ends
FROM (SELECT p.relname AS parent, to_date(right(k.relname, 6), 'YYYYMM') AS month
FROM pg_class p
JOIN pg_inherits i ON i.inhparent = p.oid
JOIN pg_class k ON k.oid = i.inhrelid
WHERE p.oid IN ('orbit_cyclecheckpoint'::regclass, 'orbit_recordgroup'::regclass)
AND k.relname ~ '_p[0-9]{6}$') m) e
WHERE e.ends <= now() - make_interval(days => %(days)s)) m
WHERE NOT EXISTS (SELECT 1
FROM orbit_cyclerun c
WHERE c.id >= orbit_uuid_floor(m.month::timestamp AT TIME ZONE 'UTC')
AND c.id < orbit_uuid_floor(m.ends))) AS oldest(finished_at)
