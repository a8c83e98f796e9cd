SELECT jsonb_build_object('applied', (SELECT sha256
FROM orbit_appliedfiles
WHERE id = 1), 'sequences', (SELECT jsonb_agg(s.sequencename)
FROM (SELECT sequencename
FROM pg_sequences
WHERE schemaname = current_schema()
AND last_value >= min_value + (max_value - min_value) * %(share)s
ORDER BY sequencename) AS s), 'partitions', (SELECT jsonb_agg(jsonb_build_array(p.parent, p.made, p.has_default, p.default_used))
FROM (SELECT parent, made, has_default, default_used
FROM orbit_partition_states()
WHERE starts_with(parent, 'orbit')) AS p), 'outbox', (SELECT jsonb_build_array(b.count, b.oldest, b.forwarded, b.refused, b.failing_since, b.problem)
FROM (SELECT (SELECT count(*)
FROM (SELECT
FROM telemetry_outboxevent
LIMIT %(most)s) AS waiting), coalesce((SELECT extract(epoch
FROM clock_timestamp() - occurred_at)
FROM telemetry_outboxevent
ORDER BY id
LIMIT 1), 0)::float8, coalesce(state.forwarded, 0), coalesce(state.refused, 0), CASE WHEN state.problem IS NOT NULL THEN state.failing_since END, state.problem
FROM (SELECT 1 AS id) AS one
LEFT
JOIN telemetry_outboxstate AS state USING (id)) AS b(count, oldest, forwarded, refused, failing_since, problem)), 'lag', (SELECT l.seconds
FROM (SELECT coalesce(greatest(0, max(extract(epoch
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
AND c.id < orbit_uuid_floor(m.ends))) AS oldest(finished_at)) AS l(seconds)), 'drifting_runs', (SELECT o.progress -> 'drifting_runs'
FROM governance_operationrun o
WHERE o.type = 'telemetry.reconcile'
AND o.outcome || '' = 'succeeded'
ORDER BY o.id DESC
LIMIT 1), 'audit', (SELECT a.summary
FROM governance_alert a
WHERE a.resolved_at IS NULL
AND a.condition || '' = 'audit_broken'
ORDER BY a.id DESC
LIMIT 1), 'paused_hosts', (SELECT jsonb_agg(DISTINCT host)
FROM orbit_clusternode
WHERE seen_at > now() - interval '15 s'
AND paused), 'clocks', (SELECT jsonb_object_agg(host, clock_ahead_seconds)
FROM orbit_clusternode
WHERE seen_at > now() - interval '15 s'
AND abs(clock_ahead_seconds) > 5.0))
