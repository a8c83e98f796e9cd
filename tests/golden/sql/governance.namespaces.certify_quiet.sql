WITH certified AS (UPDATE governance_stop st
SET quiet_at = %(at)s, certificate = %(certificate)s::jsonb
WHERE st.id = %(stop)s
AND st.ended_at IS NULL
AND st.quiet_at IS NULL
RETURNING st.namespace_id)
UPDATE governance_governancesetting s
SET mode = 'quiet'
FROM certified
WHERE s.namespace_id = certified.namespace_id
AND s.mode IN ('halting')
