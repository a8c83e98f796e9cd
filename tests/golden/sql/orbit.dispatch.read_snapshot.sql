SELECT sealed
FROM orbit_endpointsnapshot
WHERE id = %(id)s
