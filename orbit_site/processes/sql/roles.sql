-- The roles of the embedded server: its superuser logs in nowhere, Orbit's are none.
-- Before, the tables' owner was initdb's superuser, whose permissions can't be taken away: that role
-- gets another name here, and a new role the old one. Can run again.
DO $$
DECLARE
    name text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE oid = 10 AND rolname = 'orbit_owner') THEN
        -- A session can't rename its own role.
        CREATE ROLE orbit_conversion SUPERUSER;
        SET LOCAL SESSION AUTHORIZATION orbit_conversion;
        ALTER ROLE orbit_owner RENAME TO orbit_superuser;
        SET LOCAL SESSION AUTHORIZATION orbit_superuser;
        DROP ROLE orbit_conversion;
    END IF;
    FOREACH name IN ARRAY ARRAY['orbit_owner', 'orbit_app'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        -- Errors of statements name their values. The client gets them; the log keeps those of
        -- the server itself.
        EXECUTE format('ALTER ROLE %I SET log_min_messages = log', name);
    END LOOP;
    FOR name IN
        SELECT datname FROM pg_database
        WHERE datdba = 10 AND datname NOT IN ('postgres', 'template0', 'template1')
    LOOP
        EXECUTE format('ALTER DATABASE %I OWNER TO orbit_owner', name);
    END LOOP;
END
$$;

