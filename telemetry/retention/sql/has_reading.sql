-- Whether the day `d` has rows in this table.
-- args: reading
EXISTS (
    SELECT 1 FROM {{reading}} r
    WHERE r.occurred_at >= d.day::timestamp AT TIME ZONE 'UTC'
      AND r.occurred_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
)
