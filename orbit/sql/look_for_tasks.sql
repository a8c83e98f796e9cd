-- What an idle worker asks twice a second: does the server accept no writes, is any task ready?
-- params: keys text[]
SELECT
    ({{is_read_only}}),
    EXISTS (
        SELECT 1
        FROM unnest(%(keys)s::text[]) AS kind(key)
        CROSS JOIN LATERAL (   -- a probe of an index for each kind
            SELECT 1
            FROM django_q_ormq
            WHERE key = kind.key
              AND lock <= now()
            LIMIT 1
        ) AS ready
    )
