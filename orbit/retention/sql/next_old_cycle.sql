-- The next cycle that finished long ago.
-- params: until timestamptz, after_at timestamptz, after_id uuid
SELECT finished_at, id
FROM orbit_cyclerun
WHERE finished_at IS NOT NULL
  AND (finished_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
  AND finished_at <= %(until)s::timestamptz
ORDER BY finished_at, id
LIMIT 1
