-- The outputs of some tiers. A reused tier has its output in the cycle that made it, and an output
-- that is the input has its bytes in that cycle's row.
-- params: cycle uuid, tiers int[]
SELECT
    t.tier,
    coalesce(
        t.output,
        o.output,
        (   -- not a join: the input, which may be large, is read for no other tier
            SELECT c.input
            FROM orbit_cyclerun c
            WHERE c.id = coalesce(o.cycle_id, t.cycle_id)
              AND coalesce(o.output_is_input, t.output_is_input)
        )
    ),
    t.output_content_type
FROM orbit_transformation t
LEFT JOIN orbit_transformation o ON o.id = t.taken_from
WHERE t.cycle_id = %(cycle)s
  AND t.tier = ANY(%(tiers)s)
