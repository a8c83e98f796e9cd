-- A condition: job `j` of the cycle has waited too long for the open circuit of endpoint `e`.
-- params: cycle uuid
e.opened_at IS NOT NULL
AND e.probe_at > clock_timestamp()   -- if one is due, Orbit itself may have been off: probe first
AND CASE   -- the cheap test first: the time of stops is computed only if it can matter
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
