-- Whether a pass of fan-out would find a parent, or one that another pass holds now.
SELECT EXISTS (
    SELECT
    FROM orbit_conductorparent p
    JOIN orbit_conductortask t ON t.id = p.task_id
    WHERE {{may_fan_out(t, p)}}
      AND {{gate_lets_start(t.namespace)}}
)
