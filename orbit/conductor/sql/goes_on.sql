-- What is set of a parent that had failed and goes on. Its fan-out does too, unless children were
-- cancelled: then it can't succeed any more.
is_cancelling = false,
is_fanned_out = p.is_fanned_out
    AND (p.fanout IS NULL OR p.fanned_out >= p.fanout OR p.cancelled > 0)
