-- Lock a tick that is not decided yet; no row if another worker is at it.
-- params: now timestamptz, tick_id uuid
SELECT schedule, detail, coalesce(%(now)s, now())
FROM orbit_crontick
WHERE id = %(tick_id)s
  AND outcome = 'due'
FOR UPDATE SKIP LOCKED
