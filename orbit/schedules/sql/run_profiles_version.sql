-- Two numbers that change if the crons of run profiles may have changed. Reads no document, so it
-- stays cheap however large these are.
SELECT
    (SELECT sum(hashtextextended(concat_ws('|', run_profile_id, profile_id, revision, hidden, state, updated_at), 0))
     FROM orbit_runprofile),
    (SELECT sum(hashtextextended(concat_ws('|', id, hidden, state), 0)) FROM orbit_profile)
