-- The next lines of a day, up to about so many bytes of them.
-- params: day date, after_at timestamptz, after_id uuid, most int, bytes int
SELECT namespace, occurred_at, id, line
FROM (
    SELECT
        next.*,
        sum(octet_length(line)) OVER (ORDER BY occurred_at, id ROWS UNBOUNDED PRECEDING)
            - octet_length(line) AS before
    FROM (
        {{day_events(%(day)s::date, %(after_at)s::timestamptz, %(after_id)s::uuid, %(most)s)}}
    ) AS next
) AS counted
WHERE before < %(bytes)s
ORDER BY occurred_at, id
