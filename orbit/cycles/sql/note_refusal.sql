-- Note a trigger that the gate refused. A pause refuses even if there is no such namespace.
-- params: namespace text, notice text
INSERT INTO orbit_skipnotice AS n (namespace, written_at, suppressed)
SELECT %(notice)s, clock_timestamp(), 0
FROM governance_namespace
WHERE name = %(namespace)s
{{count_skips}}
