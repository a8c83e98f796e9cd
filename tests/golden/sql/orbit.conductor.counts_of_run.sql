SELECT r.pending + t.pending, r.running + t.running, r.succeeded + t.succeeded, r.failed + r.retrying + t.failed + t.retrying, r.cancelled + t.cancelled
FROM orbit_conductorrun r CROSS
JOIN LATERAL (SELECT coalesce(sum(y.pending), 0) AS pending, coalesce(sum(y.running), 0) AS running, coalesce(sum(y.retrying), 0) AS retrying, coalesce(sum(y.succeeded), 0) AS succeeded, coalesce(sum(y.failed), 0) AS failed, coalesce(sum(y.cancelled), 0) AS cancelled
FROM orbit_conductortally y
WHERE y.run_id = r.id) t
WHERE r.id = %(run)s
