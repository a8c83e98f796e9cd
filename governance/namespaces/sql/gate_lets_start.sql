-- A condition: something new may start in a namespace.
-- args: namespace
NOT EXISTS (
    SELECT 1
    FROM governance_governancesetting s
    JOIN governance_namespace n ON n.id = s.namespace_id
    WHERE n.name = {{namespace}}
      AND s.mode <> 'running'
      AND (s.until IS NULL OR s.until > now())   -- else expired
)
AND NOT EXISTS (SELECT 1 FROM {{pause}})
