UPDATE orbit_conductorparent p
SET is_cancelling = false, is_fanned_out = p.is_fanned_out
AND (p.fanout IS NULL
OR p.fanned_out >= p.fanout
OR p.cancelled > 0), is_retrying = true, retried_up_to = 0
WHERE p.task_id = %(id)s
