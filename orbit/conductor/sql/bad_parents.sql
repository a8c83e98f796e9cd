-- Lock parents whose `input.fanout` is not valid.
-- params: max_parents int
SELECT t.id, t.input
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE p.fanout IS NULL
  AND {{may_fan_out(t, p)}}
  AND {{gate_lets_start(t.namespace)}}
ORDER BY p.task_id
LIMIT %(max_parents)s
FOR NO KEY UPDATE OF p, t SKIP LOCKED
