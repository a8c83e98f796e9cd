SELECT r.run_profile_id
FROM unnest(%(run_profiles)s::text[], %(revisions)s::int[], %(profiles)s::text[], %(profile_revisions)s::int[]) AS x(run_profile_id, revision, profile_id, profile_revision)
JOIN orbit_runprofile r ON r.run_profile_id = x.run_profile_id
AND r.revision = x.revision
AND NOT r.hidden
JOIN orbit_profile p ON p.id = r.profile_id
AND p.profile_id = x.profile_id
AND p.revision = x.profile_revision
