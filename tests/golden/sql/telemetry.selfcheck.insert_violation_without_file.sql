INSERT INTO telemetry_policyviolation (event_id, occurred_at, file, policy, rule, severity, host)
VALUES (gen_random_uuid(), now(), NULL, 'selfcheck', 'none', 'info', '')
