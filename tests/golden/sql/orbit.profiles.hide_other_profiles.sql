UPDATE orbit_profile
SET hidden = true, updated_at = now()
WHERE NOT hidden
AND profile_id <> ALL(%(keep)s::text[])
RETURNING profile_id
