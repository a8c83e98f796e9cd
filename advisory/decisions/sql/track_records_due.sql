-- Waiting track records behind `after` (or `only` one), and why each can be resolved: the cause is
-- null if it can't. `cycles` first: what ended before an edit counts.
-- params: after uuid, only uuid, most int, days int
WITH page AS MATERIALIZED (
    SELECT
        t.proposal_id, t.cycles, t.started_at,
        p.applied_revision, p.profile_id, p.run_profile_id, p.namespace,
        {{first_id(t.started_at)}} AS first_id
    FROM advisory_trackrecord t
    JOIN advisory_strategyproposal p ON p.id = t.proposal_id
    WHERE t.status = 'waiting'
      AND t.proposal_id > %(after)s
      AND (%(only)s::uuid IS NULL OR t.proposal_id = %(only)s)
    ORDER BY t.proposal_id
    LIMIT %(most)s
)
SELECT
    page.proposal_id,
    CASE
        WHEN ended.cycles >= page.cycles THEN 'cycles'
        WHEN document.revision IS NULL OR document.hidden THEN 'hidden'
        WHEN document.revision <> page.applied_revision THEN 'edited'
        WHEN page.started_at <= now() - make_interval(days => %(days)s) THEN 'time'
    END
FROM page
LEFT JOIN LATERAL (
    {{document_of(page)}}
) document ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS cycles
    FROM (
        SELECT
        FROM {{run_profiles_of(page)}} ran
        JOIN orbit_cyclerun c ON {{ran_with_applied(c, ran, page)}}
        WHERE page.namespace IS NULL OR c.namespace = page.namespace
        LIMIT page.cycles
    ) counted
) ended
ORDER BY page.proposal_id
