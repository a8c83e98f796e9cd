SELECT (SELECT sum(hashtextextended(concat_ws('|', run_profile_id, profile_id, revision, hidden, state, updated_at), 0))
FROM orbit_runprofile), (SELECT sum(hashtextextended(concat_ws('|', id, hidden, state), 0))
FROM orbit_profile), (SELECT sum(hashtextextended(concat_ws('|', id, name, cron, repeats, kwargs), 0))
FROM django_q_schedule
WHERE func = %(func)s
AND starts_with(name, %(family)s))
