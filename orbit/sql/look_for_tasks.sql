-- What an idle worker asks: does the server accept no writes, and in how many seconds is the next task
-- ready? Null: there is none.
-- params: keys text[]
SELECT
    ({{is_read_only}}),
    (
        -- not the epoch of the difference: an infinite time has none
        SELECT extract(epoch FROM min(first.lock))::float8 - extract(epoch FROM now())::float8
        FROM unnest(%(keys)s::text[]) AS kind(key)
        CROSS JOIN LATERAL (   -- a probe of an index for each kind
            SELECT lock
            FROM django_q_ormq
            WHERE key = kind.key
            ORDER BY lock
            LIMIT 1
        ) AS first
    )
