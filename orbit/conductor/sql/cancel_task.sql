-- Cancel one task; of a parent, the cascade goes on with its children.
-- params: id text
WITH changed AS (
    UPDATE orbit_conductortask t SET
        state = 'CANCELLED',
        ready = false,
        lease_token = NULL,
        lease_expires_at = NULL,
        finished_at = clock_timestamp()
    WHERE t.id = %(id)s AND t.state IN ({{sources}})
    RETURNING t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at
),
{{events}},
cascade AS (
    UPDATE orbit_conductorparent p SET is_cancelling = true, cancelled_up_to = 0
    WHERE p.task_id IN (SELECT c.id FROM changed c)
)
SELECT c.id FROM changed c
