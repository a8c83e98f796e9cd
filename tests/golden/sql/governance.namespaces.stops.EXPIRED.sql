SELECT st.id, n.name
FROM governance_stop st
LEFT
JOIN governance_namespace n ON n.id = st.namespace_id
WHERE st.ended_at IS NULL
AND st.until <= clock_timestamp()
ORDER BY st.until
LIMIT %s
