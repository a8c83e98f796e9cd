-- Save the results of attempts of a cycle that goes on.
WITH {{locked}},          -- the cycle, if its token still holds
{{close_attempts}},       -- receipts, jobs, dead letters
{{update_circuits}},      -- failures in a row of each endpoint
{{records}},
{{events}}
SELECT id FROM locked
