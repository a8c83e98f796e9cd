SELECT coalesce(greatest(0, max(extract(epoch
FROM now() - make_interval(days => %(days)s) - oldest.finished_at))), 0)::float8
FROM (SELECT min(c.finished_at)
FROM orbit_cyclerun c
WHERE c.finished_at > coalesce((SELECT pruned_to
FROM orbit_retentionmark
WHERE kind = 'cycles'), '-infinity')
UNION ALL
SELECT min(r.finished_at)
FROM orbit_conductorrun r
WHERE r.finished_at > coalesce((SELECT pruned_to
FROM orbit_retentionmark
WHERE kind = 'conductor_runs'), '-infinity')) AS oldest(finished_at)
