-- Those of `names` in which no work may go on.
-- params: names text[]
SELECT given.name
FROM unnest(%(names)s::text[]) AS given(name)
WHERE NOT ({{gate_is_open(given.name)}})
