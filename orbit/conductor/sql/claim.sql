-- Claim ready tasks, fairly between namespaces.
WITH RECURSIVE {{picked_fairly}},
{{claim_picked}}
