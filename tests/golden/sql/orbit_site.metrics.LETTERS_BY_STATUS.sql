SELECT status, count(*)
FROM orbit_deadletterdispatch
GROUP BY status
