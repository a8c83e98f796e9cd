-- Claim ready tasks of one run.
WITH {{picked_in_run}},
{{claim_picked}}
