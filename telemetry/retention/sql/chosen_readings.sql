-- The rows of this table to delete now.
-- args: reading
-- params: limit int
id IN (
    SELECT r.id FROM {{reading}} r
    JOIN old ON r.occurred_at >= old.low AND r.occurred_at < old.high
    LIMIT %(limit)s
)
