-- Months of checkpoints and records that ended long ago, and whether cycles of them are kept beside
-- those that a dry run has counted already.
-- params: until timestamptz, counted date[], numbers int[]
SELECT m.parent, m.month, EXISTS (
    SELECT 1
    FROM orbit_cyclerun c
    WHERE c.id >= orbit_uuid_floor(m.month::timestamp AT TIME ZONE 'UTC')
      AND c.id < orbit_uuid_floor(m.ends)
    OFFSET coalesce(x.number, 0)
)
FROM ({{ended_months(%(until)s::timestamptz)}}) m
LEFT JOIN unnest(%(counted)s::date[], %(numbers)s::int[]) AS x(month, number) ON x.month = m.month
ORDER BY m.month, m.parent
