-- A condition: work in a namespace may go on.
-- args: namespace
NOT EXISTS (
    SELECT 1
    FROM governance_governancesetting s
    JOIN governance_namespace n ON n.id = s.namespace_id
    WHERE n.name = {{namespace}}
      AND s.halt
      AND (s.until IS NULL OR s.until > now())   -- else expired
)
AND NOT EXISTS (SELECT 1 FROM {{pause}})
