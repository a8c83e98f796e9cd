-- How much work has no worker any more, of each kind; counts up to `most`.
-- `run` is the run that asks. An operation run is lost if nothing did its slice for `late` seconds.
-- params: run uuid, late float8, most int
SELECT
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM governance_operationrun r
            WHERE r.status IN ('queued', 'running')
              AND (
                  r.next_due_at <= now() - %(late)s * interval '1 second'
                  OR r.next_due_at > now() + {{longest_pause}} * interval '1 second'
              )
              AND r.id <> %(run)s
            LIMIT %(most)s
        ) AS lost
    ) AS operations,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM orbit_cyclerun c
            WHERE c.lease_owner IS NOT NULL   -- an index has these: few, even with a long backlog
              AND c.lease_expires_at <= now()
            LIMIT %(most)s
        ) AS lost
    ) AS cycles,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM orbit_deliveryreceipt r
            JOIN orbit_dispatchjob j ON j.id = r.job_id
            JOIN orbit_cyclerun c ON c.id = j.cycle_id
            WHERE r.status = 'sending'   -- an index has these
              AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())
            LIMIT %(most)s
        ) AS lost
    ) AS deliveries,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM orbit_conductortask t
            WHERE t.lease_expires_at <= now()
            LIMIT %(most)s
        ) AS lost
    ) AS tasks
