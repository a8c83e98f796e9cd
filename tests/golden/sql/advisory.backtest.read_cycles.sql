WITH recent AS MATERIALIZED (SELECT c.*, %(namespaces)s::text[] IS NULL
OR c.namespace = ANY (%(namespaces)s::text[]) AS visible
FROM orbit_profile p
JOIN orbit_runprofile rp ON rp.profile_id = p.id CROSS
JOIN LATERAL (SELECT r.id, r.namespace, r.status, r.trigger, r.call, r.run_profile_id, r.profile_revision, r.run_profile_revision, r.instruction_id, r.input_sha256 = r.instruction_id AS input_is_instruction, r.reason <> '' AS has_reason, r.rerun_of IS NOT NULL AS is_rerun, r.created_at
FROM orbit_cyclerun r
WHERE r.run_profile_id = rp.run_profile_id
AND r.profile_id = %(profile)s
AND r.finished_at <= %(until)s
ORDER BY r.id DESC
LIMIT %(most)s) c
WHERE p.profile_id = %(profile)s
AND (%(run_profile)s::text IS NULL
OR rp.run_profile_id = %(run_profile)s))
SELECT others.hidden, c.id, c.namespace, c.status, c.trigger, c.call, c.run_profile_id, c.profile_revision, c.run_profile_revision, c.instruction_id, c.input_is_instruction, c.has_reason, c.is_rerun, c.created_at
FROM (SELECT coalesce(bool_or(NOT r.visible), false) AS hidden
FROM recent r) others
LEFT
JOIN LATERAL (SELECT *
FROM recent r
WHERE r.visible
ORDER BY r.id DESC
LIMIT %(most)s) c ON true
ORDER BY c.id DESC
