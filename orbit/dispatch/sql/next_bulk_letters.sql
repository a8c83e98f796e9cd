-- The oldest items of a run that no halt or pause blocks.
-- params: limit int
SELECT i.object_id
FROM {{open_bulk_items}}
  AND {{gate_is_open(l.namespace)}}   -- of an unknown letter (null) it is open
ORDER BY i.object_id
LIMIT %(limit)s
