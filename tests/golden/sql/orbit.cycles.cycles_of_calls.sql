SELECT call, id, namespace, status
FROM orbit_cyclerun
WHERE call = ANY(%(calls)s::uuid[])
