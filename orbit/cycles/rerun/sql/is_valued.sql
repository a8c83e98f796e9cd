-- Whether the value of a family is metered.
-- params: family uuid[]
SELECT EXISTS (
    SELECT 1
    FROM orbit_valueledgerentry v
    WHERE v.cycle_id = ANY(%(family)s)
      AND v.kind = 'value'   -- usage is metered for each cycle
)
