-- A condition: endpoint `e` has a cap, an open circuit, or asked for a pause.
(
    e.max_concurrency IS NOT NULL
    OR e.rate_per_second IS NOT NULL
    OR e.opened_at IS NOT NULL
    OR e.hold_until IS NOT NULL AND e.hold_until > clock_timestamp()   -- never null: it is negated
)
