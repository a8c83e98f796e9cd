SELECT c.instruction_id, jsonb_build_object('execution_rules', jsonb_build_object('tiers', (SELECT coalesce(jsonb_object_agg(t.key, t.value - 'options'), '{}')
FROM jsonb_each(coalesce(c.context #> '{execution_rules, tiers}', '{}')) t), 'normalizer', coalesce(c.context #> '{execution_rules, normalizer}', '{}')), 'execution_policy', coalesce(c.context -> 'execution_policy', '{}'), 'distribution_targets', coalesce(c.context -> 'distribution_targets', '[]'))::text, ARRAY(SELECT coalesce(c.context #> p.path, '{}') = p.value
FROM ROWS
FROM (json_to_recordset(%(places)s::json) AS (path text[], value jsonb)) WITH ORDINALITY AS p(path, value, number)
ORDER BY p.number)
FROM orbit_cyclerun c
WHERE c.id = ANY (%(cycles)s::uuid[])
