-- The smallest id of a cycle that was created since `moment`. Its host's clock may be a bit behind.
-- args: moment
(
    lpad(to_hex((extract(epoch FROM {{moment}} - interval '1 minute') * 1000)::bigint), 12, '0')
    || repeat('0', 20)
)::uuid
