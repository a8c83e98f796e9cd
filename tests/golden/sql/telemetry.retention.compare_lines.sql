WITH next AS MATERIALIZED (SELECT e.namespace, e.occurred_at, e.id, left(json_strip_nulls(json_build_object('id', e.id, 'occurred_at', to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'name', e.name, 'namespace', e.namespace, 'profile_id', e.profile_id, 'run_id', e.run_id, 'session_id', e.session_id, 'task_id', e.task_id, 'stage', e.stage, 'level', e.level, 'duration_ms', e.duration_ms))::text, -1) || ', "metadata":' || e.metadata::text || ', "recorded_at":"' || to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}' AS line
FROM telemetry_telemetryevent e
WHERE e.occurred_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
AND e.occurred_at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'
AND (e.occurred_at, e.id) > (coalesce(%(after_at)s::timestamptz, '-infinity'), coalesce(%(after_id)s::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY e.occurred_at, e.id
LIMIT %(most)s)
SELECT count(*), coalesce(sum(('x' || left(encode(sha256(convert_to(line, 'UTF8')), 'hex'), 16))::bit(64)::bigint), 0), (SELECT last.occurred_at
FROM next AS last
ORDER BY occurred_at DESC, id DESC
LIMIT 1), (SELECT last.id
FROM next AS last
ORDER BY occurred_at DESC, id DESC
LIMIT 1)
FROM next
