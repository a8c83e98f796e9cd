-- Record a late success.
-- params: ids uuid[]
WITH locked AS (   -- no fence: another worker may own the cycle
    SELECT unnest(%(ids)s::uuid[]) AS id
),
{{records}},
{{events}}
SELECT id FROM locked
