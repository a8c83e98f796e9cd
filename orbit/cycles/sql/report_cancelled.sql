-- Write the event of a cancelled cycle, in its transaction.
-- params: ids uuid[]
WITH locked AS (   -- no fence: no worker ends it
    SELECT unnest(%(ids)s::uuid[]) AS id
),
{{events}}
SELECT id FROM locked
