WITH policy AS (SELECT *
FROM jsonb_to_recordset(%(policies)s) AS p (number int, signal text, windows int, min_confidence float8, kind text, profiles text[], namespaces text[])), decisive AS (SELECT p.*, s.id, s.profile_id, s.namespace, s.confidence, (s.window_to AT TIME ZONE 'UTC')::date AS day
FROM advisory_advisorysignal s
JOIN policy p ON p.signal = s.signal
AND s.confidence >= p.min_confidence
AND s.profile_id = ANY (p.profiles)
AND s.namespace = ANY (p.namespaces)
WHERE s.computation_id = %(computation)s
AND s.window_to > now() - interval '1 day'
AND s.window_to - s.window_from >= make_interval(secs => %(usual_seconds)s)), target AS (SELECT d.*, NULL::text AS run_profile_id, t.revision, r.created_at AS revised_at
FROM decisive d
JOIN orbit_profile t ON t.profile_id = d.profile_id
JOIN orbit_profilerevision r ON r.profile_id = t.id
AND r.number = t.revision
WHERE d.kind = 'profile'
AND t.state = 'enabled'
AND NOT t.hidden
UNION ALL
SELECT d.*, t.run_profile_id, t.revision, r.created_at
FROM decisive d
JOIN orbit_profile p ON p.profile_id = d.profile_id
JOIN orbit_runprofile t ON t.profile_id = p.id
AND t.namespace = d.namespace
JOIN orbit_runprofilerevision r ON r.run_profile_id = t.id
AND r.number = t.revision
WHERE d.kind = 'run_profile'
AND t.state = 'enabled'
AND NOT t.hidden
AND p.state = 'enabled'
AND NOT p.hidden)
SELECT target.number, target.id, target.profile_id, target.run_profile_id, target.namespace, target.confidence, target.revision, runs.namespaces
FROM target CROSS
JOIN LATERAL (SELECT coalesce(array_agg(DISTINCT t.namespace
ORDER BY t.namespace), '{}') AS namespaces
FROM orbit_profile p
JOIN orbit_runprofile t ON t.profile_id = p.id
WHERE p.profile_id = target.profile_id
AND NOT t.hidden
AND (target.run_profile_id IS NULL
OR t.run_profile_id = target.run_profile_id)) runs CROSS
JOIN LATERAL (SELECT count(*) AS days, max(newest.day) AS last, bool_and(newest.signal = target.signal
AND newest.confidence >= target.min_confidence) AS hold
FROM (SELECT DISTINCT ON (day) (s.window_to AT TIME ZONE 'UTC')::date AS day, s.signal, s.confidence
FROM advisory_advisorysignal s
WHERE s.profile_id = target.profile_id
AND s.namespace = target.namespace
AND s.window_to >= (target.day - target.windows + 1)::timestamp AT TIME ZONE 'UTC'
AND s.window_to - s.window_from >= make_interval(secs => %(usual_seconds)s)
AND s.created_at >= (target.day - target.windows + 1)::timestamp AT TIME ZONE 'UTC'
AND s.created_at > target.revised_at
AND (target.revision = 1
OR s.window_to > target.revised_at)
AND (s.window_from >= target.revised_at
OR NOT EXISTS (SELECT
FROM advisory_autonomyaction a
WHERE a.profile_id = target.profile_id
AND a.run_profile_id IS NOT DISTINCT
FROM target.run_profile_id))
ORDER BY day, s.window_to DESC, s.created_at DESC, s.id DESC) newest) streak
WHERE streak.days = target.windows
AND streak.last = target.day
AND streak.hold
ORDER BY target.number, target.profile_id, target.namespace, target.run_profile_id
