SELECT current_user, (SELECT rolsuper
FROM pg_roles
WHERE rolname = current_user), pg_has_role('pg_execute_server_program', 'USAGE')
