-- The namespaces of the items that are left.
-- params: limit int
SELECT DISTINCT l.namespace
FROM {{open_bulk_items}}
  AND l.namespace IS NOT NULL   -- an unknown letter has none, and nothing blocks it
ORDER BY l.namespace
LIMIT %(limit)s
