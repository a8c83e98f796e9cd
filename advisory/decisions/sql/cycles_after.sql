-- The first cycles that ended after the approval, with the applied revision: each one's latency in
-- milliseconds, null if it didn't succeed.
-- params: proposal uuid
WITH approved AS MATERIALIZED (
    SELECT
        t.cycles, t.started_at,
        p.applied_revision, p.profile_id, p.run_profile_id, p.namespace,
        {{first_id(t.started_at)}} AS first_id
    FROM advisory_trackrecord t
    JOIN advisory_strategyproposal p ON p.id = t.proposal_id
    WHERE t.proposal_id = %(proposal)s
)
SELECT
    CASE WHEN ended.status = 'success'
        THEN (1000 * extract(epoch FROM ended.finished_at - ended.started_at))::float8
    END
FROM approved
CROSS JOIN LATERAL (
    SELECT c.status, c.started_at, c.finished_at
    FROM {{run_profiles_of(approved)}} ran
    JOIN orbit_cyclerun c ON {{ran_with_applied(c, ran, approved)}}
    WHERE approved.namespace IS NULL OR c.namespace = approved.namespace
    ORDER BY c.id
    LIMIT approved.cycles
) ended
