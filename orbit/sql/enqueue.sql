-- Add a task; ``at`` null: ready now.
-- params: key text, payload text, at timestamptz
INSERT INTO django_q_ormq (key, payload, lock)
VALUES (%(key)s, %(payload)s, coalesce(%(at)s::timestamptz, now()))
RETURNING id
