-- A condition: a parent gets children, or fails for a bad `input.fanout`, in the next pass.
-- args: task, parent
NOT {{parent}}.is_fanned_out
AND NOT {{parent}}.is_cancelling
AND {{task}}.state IN ('PENDING', 'RUNNING')
AND NOT EXISTS (
    SELECT FROM orbit_conductorrun r
    WHERE r.id = {{task}}.run_id AND r.cancel_requested_at IS NOT NULL
)
