-- For how many seconds something is due that no prune has looked at. A step of an index per kind;
-- of months, the oldest that is over and of which no cycle is kept.
-- params: days int
SELECT coalesce(greatest(0, max(
    extract(epoch FROM now() - make_interval(days => %(days)s) - oldest.finished_at))), 0)::float8
FROM (
    SELECT min(c.finished_at)
    FROM orbit_cyclerun c
    WHERE c.finished_at > coalesce(
        (SELECT pruned_to FROM orbit_retentionmark WHERE kind = 'cycles'), '-infinity')
    UNION ALL
    SELECT min(t.decided_at)
    FROM orbit_crontick t
    WHERE t.decided_at > coalesce(
        (SELECT pruned_to FROM orbit_retentionmark WHERE kind = 'cron_ticks'), '-infinity')
    UNION ALL
    SELECT min(r.finished_at)
    FROM orbit_conductorrun r
    WHERE r.finished_at > coalesce(
        (SELECT pruned_to FROM orbit_retentionmark WHERE kind = 'conductor_runs'), '-infinity')
    UNION ALL
    SELECT min(m.ends)
    FROM ({{ended_months(now() - make_interval(days => %(days)s))}}) m
    WHERE NOT EXISTS (
        SELECT 1
        FROM orbit_cyclerun c
        WHERE c.id >= orbit_uuid_floor(m.month::timestamp AT TIME ZONE 'UTC')
          AND c.id < orbit_uuid_floor(m.ends)
    )
) AS oldest(finished_at)
