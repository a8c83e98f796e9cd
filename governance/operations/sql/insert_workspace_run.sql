-- Insert a run of the workspace, unless one of its identity is active. If another transaction is
-- inserting the same run, wait for its end.
{{insert_run}}
ON CONFLICT (type, identity_hash)
    WHERE status IN ('queued', 'running') AND namespace_id IS NULL
    DO NOTHING
RETURNING id
