-- Give what initdb's superuser (10) owns in this database to orbit_owner. Can run again. REASSIGN
-- OWNED refuses this role, since the system's objects belong to it: these are in schemas of their
-- own.
DO $$
DECLARE
    system oid[] := ARRAY['pg_catalog', 'information_schema', 'pg_toast']::regnamespace[];
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO orbit_owner', nspname)
        FROM pg_namespace
        WHERE nspowner = 10 AND oid <> ALL (system) AND nspname !~ '^pg_'
        UNION ALL
        SELECT format('ALTER TABLE %s OWNER TO orbit_owner', c.oid::regclass)
        FROM pg_class c
        WHERE c.relowner = 10 AND c.relnamespace <> ALL (system)
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND NOT EXISTS (   -- a column's sequence follows its table
              SELECT FROM pg_depend d
              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
          )
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO orbit_owner', p.oid::regprocedure)
        FROM pg_proc p
        WHERE p.proowner = 10 AND p.pronamespace <> ALL (system)
          AND NOT EXISTS (   -- an extension's functions stay the superuser's
              SELECT FROM pg_depend d
              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          )
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO orbit_owner', t.oid::regtype)
        FROM pg_type t
        LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typowner = 10 AND t.typnamespace <> ALL (system)
          AND (t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c')
        UNION ALL
        SELECT format('ALTER STATISTICS %I.%I OWNER TO orbit_owner', n.nspname, s.stxname)
        FROM pg_statistic_ext s
        JOIN pg_namespace n ON n.oid = s.stxnamespace
        WHERE s.stxowner = 10
        UNION ALL
        SELECT format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE orbit_owner IN SCHEMA %I GRANT %s ON %s TO %I',
            n.nspname,
            a.privilege_type,
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
                 WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END,
            r.rolname
        )
        FROM pg_default_acl d
        CROSS JOIN aclexplode(d.defaclacl) a
        JOIN pg_namespace n ON n.oid = d.defaclnamespace
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE d.defaclrole = 10 AND a.grantee <> 10
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

