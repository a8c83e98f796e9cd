-- The newest cycles that were created in the window before and have ended: each one's latency in
-- milliseconds, null if it didn't succeed. None of them ran with the applied revision.
-- params: proposal uuid, first_id uuid, last_id uuid, most int
SELECT
    CASE WHEN ended.status = 'success'
        THEN (1000 * extract(epoch FROM ended.finished_at - ended.started_at))::float8
    END
FROM advisory_strategyproposal p
CROSS JOIN LATERAL (
    SELECT c.status, c.started_at, c.finished_at
    FROM {{run_profiles_of(p)}} ran
    JOIN orbit_cyclerun c ON c.run_profile_id = ran.run_profile_id
    WHERE c.id >= %(first_id)s
      AND c.id < %(last_id)s
      AND c.status IN ('success', 'partial_success', 'failed')
      AND c.profile_id = p.profile_id
      AND (p.namespace IS NULL OR c.namespace = p.namespace)
      AND p.base_revision >= CASE
          WHEN p.run_profile_id IS NULL THEN c.profile_revision ELSE c.run_profile_revision
      END
    ORDER BY c.id DESC
    LIMIT %(most)s
) ended
WHERE p.id = %(proposal)s
