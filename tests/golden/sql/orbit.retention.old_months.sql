SELECT m.parent, m.month, EXISTS (SELECT 1
FROM orbit_cyclerun c
WHERE c.id >= orbit_uuid_floor(m.month::timestamp AT TIME ZONE 'UTC')
AND c.id < orbit_uuid_floor((m.month + interval '1 month') AT TIME ZONE 'UTC'))
FROM (SELECT p.relname AS parent, to_date(right(k.relname, 6), 'YYYYMM') AS month
FROM pg_class p
JOIN pg_inherits i ON i.inhparent = p.oid
JOIN pg_class k ON k.oid = i.inhrelid
WHERE p.oid IN ('orbit_cyclecheckpoint'::regclass, 'orbit_executionrecord'::regclass)
AND k.relname ~ '_p[0-9]{6}$') m
WHERE (m.month + interval '1 month') AT TIME ZONE 'UTC' <= %(until)s::timestamptz
ORDER BY m.month, m.parent
