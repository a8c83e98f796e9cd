-- A condition: job `j` of the cycle has waited too long for the open circuit of endpoint `e`.
-- params: cycle uuid
e.opened_at IS NOT NULL
AND e.probe_at > clock_timestamp()   -- if a probe is due, Orbit itself may have been off: probe first
AND CASE   -- keeps the history of stops out of it until that time is over
    WHEN greatest(e.opened_at, j.next_attempt_at)
        < clock_timestamp() - {{down_seconds}} * interval '1 second'
    THEN greatest(e.opened_at, j.next_attempt_at)
        < clock_timestamp() - (
            {{down_seconds}} + {{stopped_seconds(
                (SELECT w.namespace FROM orbit_cyclerun w WHERE w.id = %(cycle)s),
                greatest(e.opened_at, j.next_attempt_at)
            )}}
        ) * interval '1 second'
    ELSE false
END
