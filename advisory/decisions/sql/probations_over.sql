-- Running probations behind `after` (or `only` one), and why each is over: the cause is null if it
-- isn't. `edited` before the others: after an edit no cycle runs with the applied revision.
-- params: after uuid, only uuid, most int
WITH page AS MATERIALIZED (
    SELECT
        b.proposal_id, b.cycles, b.until, b.started_at, b.applied_revision,
        p.profile_id, p.run_profile_id,
        {{first_id(b.started_at)}} AS first_id
    FROM advisory_probation b
    JOIN advisory_strategyproposal p ON p.id = b.proposal_id
    WHERE b.status = 'running'
      AND b.proposal_id > %(after)s
      AND (%(only)s::uuid IS NULL OR b.proposal_id = %(only)s)
    ORDER BY b.proposal_id
    LIMIT %(most)s
)
SELECT
    page.proposal_id,
    CASE
        WHEN document.revision IS NULL OR document.hidden THEN 'hidden'
        WHEN document.revision <> page.applied_revision THEN 'edited'
        WHEN ended.cycles >= page.cycles THEN 'cycles'
        WHEN page.until <= now() THEN 'until'
    END,
    ended.cycles
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
        LIMIT coalesce(page.cycles, 0)   -- nothing depends on the number
    ) counted
) ended
ORDER BY page.proposal_id
