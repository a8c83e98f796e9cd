-- The run profiles whose cycles show what the proposal `p` changed. Cycles have an index by run
-- profile, but none by profile.
-- args: p
(
    SELECT r.run_profile_id
    FROM orbit_runprofile r
    JOIN orbit_profile o ON o.id = r.profile_id
    WHERE {{p}}.run_profile_id IS NULL AND o.profile_id = {{p}}.profile_id
    UNION ALL
    SELECT {{p}}.run_profile_id
    WHERE {{p}}.run_profile_id IS NOT NULL
)
