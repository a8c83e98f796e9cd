-- What the last cycles of a profile in a namespace say about its tiers and endpoints: at most `most`
-- ended cycles of each run profile, since `since`, with the current revision of the profile.
-- Rows: part, run profile ('' for a tier), key, numbers as JSON.
-- params: profile_id text, namespace text, revision int, since timestamptz, most int
WITH chosen AS (
    SELECT r.run_profile_id
    FROM orbit_runprofile r
    JOIN orbit_profile p ON p.id = r.profile_id
    WHERE p.profile_id = %(profile_id)s AND r.namespace = %(namespace)s AND NOT r.hidden
    ORDER BY r.run_profile_id
    LIMIT 100
),
cycles AS MATERIALIZED (
    SELECT c.id, c.run_profile_id, c.status
    FROM chosen
    CROSS JOIN LATERAL (
        SELECT c.id, c.run_profile_id, c.status
        FROM orbit_cyclerun c
        WHERE c.run_profile_id = chosen.run_profile_id
          AND c.namespace = %(namespace)s
          AND c.profile_id = %(profile_id)s
          AND c.profile_revision = %(revision)s
          AND c.status IN ('success', 'partial_success', 'failed')
          AND c.created_at >= %(since)s
        ORDER BY c.id DESC
        LIMIT %(most)s
    ) c
),
tiers AS (
    SELECT
        t.tier,
        count(*) AS cycles,
        count(*) FILTER (WHERE t.status = 'failed') AS failed,
        -- Whether a later attempt helped where there was one.
        count(*) FILTER (WHERE t.status = 'failed' AND t.attempts > 1) AS retried_in_vain,
        count(*) FILTER (WHERE t.status = 'success' AND t.attempts > 1) AS recovered,
        sum(t.attempts) AS attempts
    FROM cycles
    JOIN orbit_transformation t ON t.cycle_id = cycles.id
    WHERE t.status IN ('success', 'failed')
      AND t.taken_from IS NULL   -- it didn't run
    GROUP BY t.tier
),
jobs AS MATERIALIZED (
    SELECT cycles.run_profile_id, cycles.id AS cycle_id, j.id, j.endpoint_key, j.status, j.attempts
    FROM cycles
    JOIN orbit_dispatchjob j ON j.cycle_id = cycles.id
    WHERE j.requeue_of_id IS NULL   -- as the cycle ended
      AND j.status IN ('delivered', 'dead')
),
culprits AS (   -- cycles that would have succeeded but for one endpoint
    SELECT jobs.cycle_id, min(jobs.endpoint_key) AS endpoint_key
    FROM jobs
    JOIN cycles ON cycles.id = jobs.cycle_id
    WHERE jobs.status = 'dead'
      AND cycles.status <> 'success'
      AND NOT EXISTS (
          SELECT FROM orbit_transformation t
          WHERE t.cycle_id = jobs.cycle_id AND t.status = 'failed'
      )
    GROUP BY jobs.cycle_id
    HAVING min(jobs.endpoint_key) = max(jobs.endpoint_key)
),
endpoints AS (
    SELECT
        jobs.run_profile_id,
        jobs.endpoint_key,
        count(*) AS deliveries,
        count(DISTINCT jobs.cycle_id) AS cycles,
        count(*) FILTER (WHERE jobs.status = 'dead') AS dead,
        count(*) FILTER (WHERE jobs.status = 'dead' AND jobs.attempts > 1) AS retried_in_vain,
        count(*) FILTER (WHERE jobs.status = 'delivered' AND jobs.attempts > 1) AS recovered,
        sum(jobs.attempts) AS attempts,
        count(DISTINCT culprits.cycle_id) AS only_culprit
    FROM jobs
    LEFT JOIN culprits
        ON culprits.cycle_id = jobs.cycle_id AND culprits.endpoint_key = jobs.endpoint_key
    GROUP BY jobs.run_profile_id, jobs.endpoint_key
),
errors AS (   -- the most frequent failure of each endpoint
    SELECT DISTINCT ON (run_profile_id, endpoint_key) run_profile_id, endpoint_key, error, count
    FROM (
        SELECT
            jobs.run_profile_id, jobs.endpoint_key,
            coalesce('HTTP ' || r.status_code, r.error_class, r.status) AS error,
            count(*) AS count
        FROM jobs
        JOIN orbit_deliveryreceipt r ON r.job_id = jobs.id
        WHERE jobs.status = 'dead' AND r.status IN ('failed', 'unknown')
        GROUP BY 1, 2, 3
    ) failures
    ORDER BY run_profile_id, endpoint_key, count DESC, error
)
SELECT 'cycles', run_profile_id, '', json_build_object('cycles', count(*))::text
FROM cycles
GROUP BY run_profile_id
UNION ALL
SELECT 'tier', '', tier::text, to_json(tiers)::text
FROM tiers
UNION ALL
SELECT 'endpoint', run_profile_id, endpoint_key, to_json(endpoints)::text
FROM endpoints
UNION ALL
SELECT 'error', run_profile_id, endpoint_key, to_json(errors)::text
FROM errors
