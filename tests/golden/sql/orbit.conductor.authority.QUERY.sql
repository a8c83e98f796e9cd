SELECT id, state, state_changed_at, name, priority::bigint, '[]'::jsonb, namespace
FROM orbit_conductortask
