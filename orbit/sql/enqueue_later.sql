-- Enqueue a wake-up, unless there is one within the second before it. Every runner that ends names
-- the next moment, and one row for each second is enough. For wake-ups only: any other task is
-- meant by itself.
-- params: key text, payload text, at timestamptz
INSERT INTO django_q_ormq (key, payload, lock)
SELECT %(key)s, %(payload)s, %(at)s
WHERE NOT EXISTS (
    SELECT 1
    FROM django_q_ormq
    WHERE key = %(key)s
      AND lock > %(at)s - interval '1 second'
      AND lock <= %(at)s
)
RETURNING id
