UPDATE orbit_runprofile
SET hidden = true, updated_at = now()
WHERE NOT hidden
AND run_profile_id <> ALL(%(keep)s::text[])
RETURNING run_profile_id
