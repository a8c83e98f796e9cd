-- The ids of the oldest open dead letters that match a filter, of some groups if `groups` isn't null.
-- params: groups text[], limit int
SELECT l.id
FROM orbit_deadletterdispatch l
WHERE {{letter_matches}}
  AND (%(groups)s::text[] IS NULL OR l.error_group = ANY(%(groups)s::text[]))
ORDER BY l.id
LIMIT %(limit)s
