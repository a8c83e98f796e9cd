-- Open runs of the conductor, tasks that may be claimed, and tasks that workers hold.
-- Each count stops at `most`, so a large fan-out costs a scrape no more.
-- params: most int
SELECT
    (SELECT count(*) FROM (
        SELECT FROM orbit_conductorrun WHERE state IN ('PENDING', 'RUNNING') LIMIT %(most)s
    ) AS open),
    (SELECT count(*) FROM (
        SELECT FROM orbit_conductortask WHERE ready LIMIT %(most)s
    ) AS ready),
    (SELECT count(*) FROM (
        SELECT FROM orbit_conductortask WHERE lease_expires_at IS NOT NULL LIMIT %(most)s
    ) AS held)
