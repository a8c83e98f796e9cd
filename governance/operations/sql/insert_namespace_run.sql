-- Insert a run of a namespace, unless one of its identity is active. If another transaction is
-- inserting the same run, wait for its end.
{{insert_run}}
ON CONFLICT (namespace_id, type, identity_hash)
    WHERE status IN ('queued', 'running') AND namespace_id IS NOT NULL
    DO NOTHING
RETURNING id
