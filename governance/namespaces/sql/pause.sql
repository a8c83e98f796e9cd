-- The console's pause, if there is one. It isn't correlated, so a statement reads it once.
governance_stop p
WHERE p.namespace_id IS NULL
  AND p.kind = 'pause'
  AND p.ended_at IS NULL
  AND (p.until IS NULL OR p.until > now())   -- else expired
