-- The newest cycle of some keys' run profiles, and when one is due next by its own cron.
-- params: keys text[], run_profiles text[]
SELECT
    given.key,
    (array_agg(c.id ORDER BY c.id DESC) FILTER (WHERE c.id IS NOT NULL))[1],
    (array_agg(c.status ORDER BY c.id DESC) FILTER (WHERE c.id IS NOT NULL))[1],
    min(s.next_run) FILTER (WHERE s.next_run BETWEEN '1970-01-02Z' AND '9000-01-01Z')
FROM unnest(%(keys)s::text[], %(run_profiles)s::text[]) AS given(key, run_profile)
LEFT JOIN LATERAL (
    SELECT n.id, n.status
    FROM orbit_cyclerun n
    WHERE n.run_profile_id = given.run_profile
    ORDER BY n.id DESC
    LIMIT 1
) AS c ON true
LEFT JOIN django_q_schedule s
    ON s.name = 'run-profile:' || given.run_profile
    AND s.repeats <> 0   -- else it is off
GROUP BY given.key
