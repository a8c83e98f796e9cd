SELECT current_setting('server_version'), pg_database_size(current_database()), count(*), current_setting('max_connections')::int, count(*) FILTER (WHERE wait_event_type = 'Lock'), coalesce(extract(epoch
FROM max(clock_timestamp() - state_change) FILTER (WHERE wait_event_type = 'Lock')), 0)::float8, coalesce(extract(epoch
FROM max(clock_timestamp() - xact_start) FILTER (WHERE pid <> pg_backend_pid())), 0)::float8, to_regclass('pg_stat_statements') IS NOT NULL
FROM pg_stat_activity
WHERE datname = current_database()
