WITH active AS MATERIALIZED (SELECT c.id, c.namespace, c.status, c.run_profile_id, c.next_due_at, c.lease_expires_at, c.resumes, c.created_at
FROM orbit_cyclerun c
WHERE c.status IN ('pending', 'running')
AND (%(scope)s::text[] IS NULL
OR c.namespace = ANY(%(scope)s::text[]))), notable AS MATERIALIZED ((SELECT id, namespace, status, profile_id, run_profile_id, reason, finished_at
FROM orbit_cyclerun
WHERE status = 'failed'
AND id >= orbit_uuid_floor(now() - interval '7 days')
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
ORDER BY id DESC
LIMIT 200)
UNION ALL (SELECT id, namespace, status, profile_id, run_profile_id, reason, finished_at
FROM orbit_cyclerun
WHERE status = 'partial_success'
AND id >= orbit_uuid_floor(now() - interval '7 days')
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
ORDER BY id DESC
LIMIT 200)), newest AS MATERIALIZED (SELECT DISTINCT ON (namespace, run_profile_id, profile_id) *
FROM notable
ORDER BY namespace, run_profile_id, profile_id, id DESC), unresolved AS MATERIALIZED (SELECT n.*
FROM newest n
WHERE NOT EXISTS (SELECT
FROM orbit_seenmark m
WHERE m.kind = 'cycle'
AND m.key = n.id::text)
AND (n.run_profile_id IS NULL
OR (SELECT 1
FROM orbit_cyclerun c
WHERE c.run_profile_id = n.run_profile_id
AND c.id > n.id
AND c.status || '' = 'success'
LIMIT 1) IS NULL)
AND (n.run_profile_id IS NOT NULL
OR NOT EXISTS (SELECT
FROM (SELECT c.profile_id, c.run_profile_id, c.status
FROM orbit_cyclerun c
WHERE c.namespace = n.namespace
AND c.id > n.id
ORDER BY c.id
LIMIT 200) AS later
WHERE later.run_profile_id IS NULL
AND later.profile_id IS NOT DISTINCT
FROM n.profile_id
AND later.status = 'success'))
ORDER BY n.id DESC), letters AS MATERIALIZED (SELECT l.id, l.error_group, l.created_at
FROM orbit_deadletterdispatch l
WHERE l.status = 'open'
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
ORDER BY l.id DESC
LIMIT 10001), stopped AS MATERIALIZED (SELECT n.id, n.name AS namespace, s.mode, s.since, s.until, s.changed_by, s.reason
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now())
AND (%(scope)s::text[] IS NULL
OR n.name = ANY(%(scope)s::text[]))
ORDER BY s.since DESC
LIMIT 50), operations AS MATERIALIZED (SELECT o.id, o.type, o.status, o.progress, o.summary_counts, o.created_at, o.started_at
FROM governance_operationrun o
WHERE o.status IN ('queued', 'running')
AND (%(scope)s::text[] IS NULL
OR o.scope <@ %(scope)s::varchar[])
ORDER BY o.id DESC
LIMIT 10001), alerts AS MATERIALIZED (SELECT a.id, a.condition, a.summary, a.link, a.first_seen_at
FROM governance_alert a
WHERE a.resolved_at IS NULL
AND a.acknowledged_at IS NULL
AND (%(scope)s::text[] IS NULL
OR a.namespace = ANY(%(scope)s::text[]))
ORDER BY a.id DESC
LIMIT 10001), schedules AS MATERIALIZED (SELECT q.name, q.next_run, p.run_profile_id, p.namespace
FROM django_q_schedule q
LEFT
JOIN orbit_runprofile p ON q.name = 'run-profile:' || p.run_profile_id
WHERE q.func = 'orbit.tasks.tick'
AND q.repeats <> 0
AND (q.next_run IS NULL
OR q.next_run < now() + interval '10 years')
AND (%(scope)s::text[] IS NULL
OR p.namespace = ANY(%(scope)s::text[]))
ORDER BY q.next_run
LIMIT 10001), days AS MATERIALIZED (SELECT d.*, sum(failed * 1000 + partial_success) OVER (PARTITION BY namespace) AS weight
FROM (SELECT namespace, day, sum(success)::bigint AS success, sum(partial_success)::bigint AS partial_success, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled
FROM (SELECT namespace, day, success, partial_success, failed, cancelled
FROM orbit_cycleday
WHERE day > (now() AT TIME ZONE 'UTC')::date - 14
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
UNION ALL
SELECT namespace, (finished_at AT TIME ZONE 'UTC')::date, (status = 'success')::int, (status = 'partial_success')::int, (status = 'failed')::int, (status = 'cancelled')::int
FROM (SELECT namespace, finished_at, status
FROM orbit_cyclerun
WHERE (finished_at, id) > (coalesce((SELECT at
FROM orbit_rollupmark
WHERE kind = 'cycles'), now() - interval '14 days'), coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'cycles'), orbit_uuid_floor(now() - interval '14 days')))
AND finished_at IS NOT NULL
ORDER BY finished_at, id
LIMIT 20000) AS c
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[])) AS counted
WHERE day > (now() AT TIME ZONE 'UTC')::date - 14
GROUP BY namespace, day
ORDER BY namespace, day) AS d), history AS MATERIALIZED (SELECT has_delivered, NOT (has_delivered
AND has_cycles) AS is_first_run
FROM (SELECT (SELECT 1
FROM orbit_cyclerun c
WHERE %(scope)s::text[] IS NULL
OR c.namespace = ANY(%(scope)s::text[])
LIMIT 1) IS NOT NULL AS has_cycles, EXISTS (SELECT
FROM days d
WHERE d.success + d.partial_success > 0)
OR EXISTS (SELECT
FROM orbit_cycleday d
WHERE d.success + d.partial_success > 0
AND (%(scope)s::text[] IS NULL
OR d.namespace = ANY(%(scope)s::text[]))) AS has_delivered) AS h), run_profiles AS MATERIALIZED (SELECT p.run_profile_id
FROM orbit_runprofile p
WHERE p.state = 'enabled'
AND NOT p.hidden
AND (%(scope)s::text[] IS NULL
OR p.namespace = ANY(%(scope)s::text[]))
ORDER BY p.run_profile_id
LIMIT 1000)
SELECT jsonb_build_object('now', clock_timestamp(), 'active', (SELECT count(*)
FROM active), 'active_cycles', (SELECT jsonb_agg(to_jsonb(a))
FROM (SELECT *
FROM active
ORDER BY created_at
LIMIT 50) AS a), 'queued', (SELECT count(*)
FROM (SELECT
FROM orbit_cyclerun c
WHERE c.status = 'queued'
AND (%(scope)s::text[] IS NULL
OR c.namespace = ANY(%(scope)s::text[]))
LIMIT 10001) AS q), 'unresolved', (SELECT count(*)
FROM unresolved), 'unresolved_cycles', (SELECT jsonb_agg(to_jsonb(u))
FROM (SELECT n.id, n.namespace, n.status, n.profile_id, n.run_profile_id, n.finished_at, left(n.reason, 300) AS reason, t.tier, t.tries, t.error, d.delivered, d.total
FROM (SELECT *
FROM unresolved
ORDER BY id DESC
LIMIT 5) AS n
LEFT
JOIN LATERAL (SELECT t.tier, t.attempts AS tries, left(t.error, 300) AS error
FROM orbit_transformation t
WHERE t.cycle_id = n.id
AND t.status || '' = 'failed'
ORDER BY t.tier
LIMIT 1) AS t ON true
LEFT
JOIN LATERAL (SELECT count(*) AS total, count(*) FILTER (WHERE j.status = 'delivered') AS delivered
FROM orbit_dispatchjob j
WHERE j.cycle_id = n.id
AND j.requeue_of_id IS NULL) AS d ON true
ORDER BY n.id DESC) AS u), 'dead', (SELECT count(*)
FROM letters), 'groups', (SELECT jsonb_agg(to_jsonb(g))
FROM (SELECT g.*, (last_at > now() - interval '10 minutes'
AND last_at > first_at + interval '1 minute') AS growing, l.endpoint_key, l.reason, l.status_code, left(l.error_pattern, 200) AS error, EXISTS (SELECT
FROM orbit_seenmark m
WHERE m.kind = 'group'
AND m.key IN (g.key, g.key || %(own)s)
AND m.at >= g.last_at) AS seen
FROM (SELECT error_group AS key, (array_agg(id))[1] AS newest, count(*) AS count, min(created_at) AS first_at, max(created_at) AS last_at
FROM letters
GROUP BY error_group
ORDER BY count(*) DESC, error_group
LIMIT 50) AS g
JOIN orbit_deadletterdispatch l ON l.id = g.newest
ORDER BY g.count DESC, g.key) AS g), 'stops', (SELECT jsonb_agg(to_jsonb(s))
FROM stopped AS s), 'pause', (SELECT to_jsonb(x)
FROM (SELECT p.since, p.until, p.started_by AS by, p.reason
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())
LIMIT 1) AS x), 'clusters', (SELECT to_jsonb(x)
FROM (SELECT count(*) FILTER (WHERE NOT draining) AS count, coalesce(sum(workers) FILTER (WHERE NOT draining), 0) AS workers, max(seen_at) AS seen_at, max(endpoints) AS endpoints
FROM orbit_clusternode
WHERE seen_at > now() - interval '15 s') AS x), 'queue', (SELECT to_jsonb(x)
FROM (SELECT count(*) AS count, extract(epoch
FROM clock_timestamp() - min(since)) AS age
FROM (SELECT lock AS since
FROM django_q_ormq
WHERE lock <= now()
AND %(scope)s::text[] IS NULL
UNION ALL
SELECT next_due_at
FROM active
WHERE next_due_at <= now()
AND lease_expires_at IS NULL
AND %(scope)s::text[] IS NOT NULL
LIMIT 10001) AS q) AS x), 'circuits', (SELECT jsonb_agg(to_jsonb(e))
FROM (SELECT endpoint_key, host, opened_at, probe_at, failures, left(last_error, 300) AS error
FROM orbit_endpointstate
WHERE opened_at IS NOT NULL
ORDER BY opened_at
LIMIT 50) AS e), 'operations', (SELECT count(*)
FROM operations), 'running_operations', (SELECT jsonb_agg(to_jsonb(o))
FROM (SELECT *
FROM operations
LIMIT 5) AS o), 'failed_operations', (SELECT jsonb_agg(to_jsonb(f))
FROM (SELECT DISTINCT ON (o.type) o.id, o.type, o.outcome, o.finished_at, left(o.reason, 300) AS reason
FROM (SELECT *
FROM governance_operationrun
WHERE outcome IN ('failed', 'partially_succeeded')
AND id >= orbit_uuid_floor(now() - interval '1 day')
ORDER BY id DESC
LIMIT 200) AS o
WHERE (%(scope)s::text[] IS NULL
OR o.scope <@ %(scope)s::varchar[])
AND NOT EXISTS (SELECT
FROM governance_operationrun later
WHERE later.type = o.type
AND later.id > o.id
AND later.outcome || '' = 'succeeded')
ORDER BY o.type, o.id DESC
LIMIT 50) AS f), 'alerts', (SELECT count(*)
FROM alerts), 'other_alerts', (SELECT jsonb_agg(to_jsonb(a))
FROM (SELECT *
FROM alerts
WHERE condition NOT IN ('dead_letters', 'endpoint_down', 'halted_long', 'proposal_expiring', 'projection_drift', 'retention_lag', 'partitions_missing', 'audit_broken', 'no_cluster')
LIMIT 5) AS a), 'next_runs', (SELECT jsonb_agg(to_jsonb(s))
FROM (SELECT *
FROM schedules
LIMIT 5) AS s), 'overdue', (SELECT to_jsonb(x)
FROM (SELECT count(*) AS count, min(next_run) AS since, (array_agg(name))[1] AS name
FROM schedules
WHERE next_run < now() - interval '60 s') AS x), 'run_profiles', (SELECT to_jsonb(x)
FROM (SELECT count(*) AS count, count((SELECT 1
FROM orbit_cyclerun c
WHERE c.run_profile_id = p.run_profile_id
AND c.id >= orbit_uuid_floor(now() - interval '1 day')
AND c.status || '' IN ('success', 'partial_success')
LIMIT 1)) AS delivered
FROM run_profiles p) AS x), 'hours', (SELECT jsonb_agg(to_jsonb(h))
FROM (SELECT hour, sum(delivered)::bigint AS delivered, sum(dead)::bigint AS dead
FROM (SELECT hour, delivered, dead
FROM orbit_deliveryhour
WHERE hour >= date_trunc('hour', now() - interval '23 hours')
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
UNION ALL
SELECT date_trunc('hour', r.started_at), 1, 0
FROM (SELECT job_id, started_at, status
FROM orbit_deliveryreceipt
WHERE id > coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'receipts'), orbit_uuid_floor(now() - interval '23 hours'))
ORDER BY id
LIMIT 20000) AS r
WHERE r.status = 'delivered'
AND (%(scope)s::text[] IS NULL
OR (SELECT c.namespace
FROM orbit_dispatchjob j
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE j.id = r.job_id) = ANY(%(scope)s::text[]))
UNION ALL
SELECT date_trunc('hour', created_at), 0, 1
FROM (SELECT created_at, namespace
FROM orbit_deadletterdispatch
WHERE id > coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'letters'), orbit_uuid_floor(now() - interval '23 hours'))
ORDER BY id
LIMIT 20000) AS l
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[])) AS counted
WHERE hour >= date_trunc('hour', now() - interval '23 hours')
GROUP BY hour
ORDER BY hour) AS h), 'days', (SELECT jsonb_agg(to_jsonb(d))
FROM (SELECT *
FROM days
ORDER BY weight DESC, namespace, day
LIMIT 168) AS d), 'audit', (SELECT jsonb_agg(to_jsonb(a))
FROM (SELECT *
FROM ((SELECT id, at, actor, action, object_type, object_id, namespace
FROM governance_audittrailentry
WHERE %(scope)s::text[] IS NULL
ORDER BY id DESC
LIMIT 5)
UNION ALL
SELECT a.*
FROM unnest(%(scope)s::text[]) AS s(name) CROSS
JOIN LATERAL (SELECT id, at, actor, action, object_type, object_id, namespace
FROM governance_audittrailentry
WHERE namespace = s.name
ORDER BY id DESC
LIMIT 5) AS a) AS entries
ORDER BY id DESC
LIMIT 5) AS a), 'namespaces', (SELECT jsonb_agg(name)
FROM (SELECT name
FROM governance_namespace
WHERE %(scope)s::text[] IS NULL
OR name = ANY(%(scope)s::text[])
ORDER BY name
LIMIT 200) AS n), 'is_first_run', (SELECT is_first_run
FROM history), 'administrators', CASE WHEN (SELECT is_first_run
FROM history) THEN (SELECT count(*)
FROM auth_user u
WHERE u.is_active
AND u.is_staff
AND (u.is_superuser
OR EXISTS (SELECT
FROM auth_user_groups m
JOIN auth_group g ON g.id = m.group_id
WHERE m.user_id = u.id
AND g.name = 'Administrator'))) END, 'has_backup', CASE WHEN (SELECT is_first_run
FROM history) THEN EXISTS (SELECT
FROM governance_audittrailentry
WHERE action = 'backup.made') END, 'has_tested', CASE WHEN (SELECT is_first_run
FROM history) THEN EXISTS (SELECT
FROM governance_audittrailentry
WHERE action = 'endpoint.tested') END, 'has_delivered', (SELECT has_delivered
FROM history), 'newest', (SELECT jsonb_build_array((SELECT id
FROM (SELECT id, namespace
FROM advisory_strategyproposal
ORDER BY id DESC
LIMIT 200) AS p
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[])
ORDER BY id DESC
LIMIT 1), (SELECT d.id
FROM (SELECT id, proposal_id
FROM advisory_proposaldecision
ORDER BY id DESC
LIMIT 200) AS d
JOIN advisory_strategyproposal p ON p.id = d.proposal_id
WHERE %(scope)s::text[] IS NULL
OR p.namespace = ANY(%(scope)s::text[])
ORDER BY d.id DESC
LIMIT 1))))
