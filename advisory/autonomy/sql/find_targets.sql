-- Documents that policies would disable after a computation of signals, in the order of the
-- policies: for each the signal that decides, and its windows held.
--
-- A window is a UTC day, and its newest signal speaks for it: computations that overlap, or are
-- repeated, count once. Days without a signal break the row. Signals that are older than the document's
-- revision don't count, and after an action only windows that begin after that revision do. A
-- window that is shorter than the usual one was picked by its caller, so it doesn't count either.
-- params: computation uuid, policies jsonb, usual_seconds float8
WITH policy AS (
    SELECT *
    FROM jsonb_to_recordset(%(policies)s) AS p (
        number int, signal text, windows int, min_confidence float8, kind text,
        profiles text[], namespaces text[]
    )
),
decisive AS (
    SELECT
        p.*, s.id, s.profile_id, s.namespace, s.confidence,
        (s.window_to AT TIME ZONE 'UTC')::date AS day
    FROM advisory_advisorysignal s
    JOIN policy p
      ON p.signal = s.signal
     AND s.confidence >= p.min_confidence
     AND s.profile_id = ANY (p.profiles)
     AND s.namespace = ANY (p.namespaces)
    WHERE s.computation_id = %(computation)s
      -- An old window says nothing of today.
      AND s.window_to > now() - interval '1 day'
      AND s.window_to - s.window_from >= make_interval(secs => %(usual_seconds)s)
),
target AS (
    SELECT
        d.*, NULL::text AS run_profile_id, t.revision, r.created_at AS revised_at
    FROM decisive d
    JOIN orbit_profile t ON t.profile_id = d.profile_id
    JOIN orbit_profilerevision r ON r.profile_id = t.id AND r.number = t.revision
    WHERE d.kind = 'profile'
      AND t.state = 'enabled'
      AND NOT t.hidden
    UNION ALL
    SELECT
        d.*, t.run_profile_id, t.revision, r.created_at
    FROM decisive d
    JOIN orbit_profile p ON p.profile_id = d.profile_id
    JOIN orbit_runprofile t ON t.profile_id = p.id AND t.namespace = d.namespace
    JOIN orbit_runprofilerevision r ON r.run_profile_id = t.id AND r.number = t.revision
    WHERE d.kind = 'run_profile'
      AND t.state = 'enabled'
      AND NOT t.hidden
      -- Else it is disabled already.
      AND p.state = 'enabled'
      AND NOT p.hidden
)
SELECT
    target.number, target.id, target.profile_id, target.run_profile_id, target.namespace,
    target.confidence, target.revision, runs.namespaces
FROM target
CROSS JOIN LATERAL (
    -- Where the change takes effect.
    SELECT coalesce(array_agg(DISTINCT t.namespace ORDER BY t.namespace), '{}') AS namespaces
    FROM orbit_profile p
    JOIN orbit_runprofile t ON t.profile_id = p.id
    WHERE p.profile_id = target.profile_id
      AND NOT t.hidden
      AND (target.run_profile_id IS NULL OR t.run_profile_id = target.run_profile_id)
) runs
CROSS JOIN LATERAL (
    SELECT
        count(*) AS days,
        max(newest.day) AS last,
        bool_and(newest.signal = target.signal AND newest.confidence >= target.min_confidence)
            AS hold
    FROM (
        SELECT DISTINCT ON (day)
            (s.window_to AT TIME ZONE 'UTC')::date AS day, s.signal, s.confidence
        FROM advisory_advisorysignal s
        WHERE s.profile_id = target.profile_id
          AND s.namespace = target.namespace
          AND s.window_to >= (target.day - target.windows + 1)::timestamp AT TIME ZONE 'UTC'
          AND s.window_to - s.window_from >= make_interval(secs => %(usual_seconds)s)
          -- A window ends before its signal is made; the index is by that time.
          AND s.created_at >= (target.day - target.windows + 1)::timestamp AT TIME ZONE 'UTC'
          AND s.created_at > target.revised_at
          -- A caller who names the end of the window can't make up days before an edit.
          AND (target.revision = 1 OR s.window_to > target.revised_at)
          AND (
              s.window_from >= target.revised_at
              OR NOT EXISTS (
                  SELECT FROM advisory_autonomyaction a
                  WHERE a.profile_id = target.profile_id
                    AND a.run_profile_id IS NOT DISTINCT FROM target.run_profile_id
              )
          )
        ORDER BY day, s.window_to DESC, s.created_at DESC, s.id DESC
    ) newest
) streak
WHERE streak.days = target.windows
  AND streak.last = target.day   -- a later day's signal decides instead
  AND streak.hold
ORDER BY target.number, target.profile_id, target.namespace, target.run_profile_id
