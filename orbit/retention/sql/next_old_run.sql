-- The next conductor run that finished long ago.
-- params: until timestamptz, after_at timestamptz, after_id text
SELECT finished_at, id
FROM orbit_conductorrun
WHERE finished_at IS NOT NULL
  AND (finished_at, id) > (%(after_at)s::timestamptz, %(after_id)s::text)
  AND finished_at <= %(until)s::timestamptz
ORDER BY finished_at, id
LIMIT 1
