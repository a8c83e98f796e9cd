-- The document that the proposal `p` changes.
-- args: p
SELECT d.revision, d.hidden
FROM orbit_profile d
WHERE {{p}}.run_profile_id IS NULL AND d.profile_id = {{p}}.profile_id
UNION ALL
SELECT d.revision, d.hidden
FROM orbit_runprofile d
WHERE d.run_profile_id = {{p}}.run_profile_id
