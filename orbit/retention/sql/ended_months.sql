-- Partitions of checkpoints and records whose month was over at `until`.
-- args: until
SELECT e.parent, e.month, e.ends
FROM (
    SELECT m.parent, m.month, (m.month + interval '1 month') AT TIME ZONE 'UTC' AS ends
    FROM (
        SELECT p.relname AS parent, to_date(right(k.relname, 6), 'YYYYMM') AS month
        FROM pg_class p
        JOIN pg_inherits i ON i.inhparent = p.oid
        JOIN pg_class k ON k.oid = i.inhrelid
        WHERE p.oid IN ('orbit_cyclecheckpoint'::regclass, 'orbit_recordgroup'::regclass)
          AND k.relname ~ '_p[0-9]{6}$'
    ) m
) e
WHERE e.ends <= {{until}}
