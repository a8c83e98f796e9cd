-- Cancel the open ones of the next tasks under a parent or a run.
-- Returns the last index that is done; how many were cancelled; whether nothing is left.
-- A task that somebody else holds is left for the next time: nobody waits, so nobody deadlocks.
-- args: of_it condition
-- params: id text, up_to int, tasks int
WITH next AS MATERIALIZED (
    SELECT t.id, t.index, t.state, t.ready
    FROM orbit_conductortask t
    WHERE {{of_it}} AND t.index > %(up_to)s
    ORDER BY t.index
    LIMIT %(tasks)s
),
open AS MATERIALIZED (
    SELECT n.id, n.index
    FROM next n
    WHERE n.state IN ('PENDING', 'RUNNING') OR n.state = 'FAILED' AND n.ready
),
locked AS MATERIALIZED (
    SELECT t.id
    FROM orbit_conductortask t
    WHERE t.id IN (SELECT id FROM open)
      AND (t.state IN ('PENDING', 'RUNNING') OR t.state = 'FAILED' AND t.ready)
    FOR NO KEY UPDATE SKIP LOCKED
),
changed AS (
    UPDATE orbit_conductortask t
    SET state = 'CANCELLED', ready = false, lease_token = NULL, lease_expires_at = NULL,
        finished_at = statement_timestamp()
    WHERE t.id IN (SELECT id FROM locked)
    RETURNING t.*
),
{{events}}
SELECT coalesce(
        (SELECT min(o.index) - 1 FROM open o WHERE o.id NOT IN (SELECT id FROM locked)),
        (SELECT max(n.index) FROM next n),
        %(up_to)s
    ),
    (SELECT count(*)::int FROM changed),
    (SELECT count(*) FROM next) < %(tasks)s
        AND (SELECT count(*) FROM open) = (SELECT count(*) FROM locked)
