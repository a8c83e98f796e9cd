-- Whether one of these must run alone and may, and where to look next.
WITH {{suspected_due}}
SELECT
    EXISTS (SELECT 1 FROM looked WHERE {{gate_is_open(looked.namespace)}}),
    edge.next_due_at,
    edge.id
FROM (SELECT) AS one
LEFT JOIN edge ON true
