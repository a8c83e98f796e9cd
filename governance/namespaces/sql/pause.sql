-- The console's pause, if there is one. Refers to nothing outside, so it is read once for a
-- statement, however many rows ask.
governance_stop p
WHERE p.namespace_id IS NULL
  AND p.kind = 'pause'
  AND p.ended_at IS NULL
  AND (p.until IS NULL OR p.until > now())   -- past its time it holds nothing
