-- The condition for a task `t`: the caller of `given` holds its lease.
t.id = g.id
AND t.id = ANY(ARRAY(SELECT l.id FROM locked l))
AND t.lease_token = g.token
AND t.state = 'RUNNING'
AND t.lease_expires_at > now()
