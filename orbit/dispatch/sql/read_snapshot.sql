-- The sealed endpoint of a snapshot.
-- params: id uuid
SELECT sealed FROM orbit_endpointsnapshot WHERE id = %(id)s
