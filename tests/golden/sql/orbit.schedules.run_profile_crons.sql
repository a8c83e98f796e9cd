SELECT r.run_profile_id, r.document #>> '{execution_policy, cron}', r.document #>> '{execution_policy, time_zone}', r.document #>> '{execution_policy, on_missed}', (r.document #>> '{execution_policy, max_lateness}')::numeric::int
FROM orbit_runprofile r
JOIN orbit_profile p ON p.id = r.profile_id
WHERE NOT r.hidden
AND NOT p.hidden
AND r.state = 'enabled'
AND p.state = 'enabled'
AND r.document #>> '{execution_policy, cron}' <> ''
ORDER BY r.run_profile_id
