-- Count and digest of the next events of a day, and where they end.
-- params: day date, after_at timestamptz, after_id uuid, most int
WITH next AS MATERIALIZED (
    {{day_events(%(day)s::date, %(after_at)s::timestamptz, %(after_id)s::uuid, %(most)s)}}
)
SELECT
    count(*),
    coalesce(sum(
        ('x' || left(encode(sha256(convert_to(line, 'UTF8')), 'hex'), 16))::bit(64)::bigint), 0),
    (SELECT last.occurred_at FROM next AS last ORDER BY occurred_at DESC, id DESC LIMIT 1),
    (SELECT last.id FROM next AS last ORDER BY occurred_at DESC, id DESC LIMIT 1)
FROM next
