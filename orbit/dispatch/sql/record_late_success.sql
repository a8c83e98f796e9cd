-- Record a late success.
-- params: ids uuid[]
WITH locked AS (   -- no fence: another worker owns the cycle, or nobody
    SELECT unnest(%(ids)s::uuid[]) AS id
),
{{records}},
{{events}}
SELECT id FROM locked
