SELECT (SELECT (count(*), max(updated_at), sum(revision))::text
FROM orbit_profile
WHERE NOT hidden), (SELECT (count(*), max(updated_at), sum(revision))::text
FROM orbit_runprofile
WHERE NOT hidden)
