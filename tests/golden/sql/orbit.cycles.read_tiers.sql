SELECT t.id, t.tier, t.status, t.attempts, t.error, t.output_sha256, t.taken_from IS NOT NULL, extract(epoch
FROM t.next_attempt_at - clock_timestamp())::float8
FROM orbit_transformation t
WHERE t.cycle_id = %(cycle)s
